//go:build cgo

package reqbus

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// frames reads server-sent events from a response until done says so.
func frames(t *testing.T, body *bufio.Reader, done func(frame string) bool) {
	t.Helper()
	var frame strings.Builder
	for {
		line, err := body.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %q", err, frame.String())
		}
		if line == "\n" {
			if done(frame.String()) {
				return
			}
			frame.Reset()
			continue
		}
		frame.WriteString(line)
	}
}

func get(t *testing.T, url string, headers ...string) (*http.Response, *bufio.Reader) {
	t.Helper()
	request, err := http.NewRequestWithContext(soon(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(headers); at += 2 {
		request.Header.Set(headers[at], headers[at+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response, bufio.NewReader(response.Body)
}

func serve(t *testing.T, handler http.Handler) *httptest.Server {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func TestSSE_resumes_by_header_before_query(t *testing.T) {
	bus := newBus(t)
	server := serve(t, SSEHandler(bus))
	for range 3 {
		bus.Publish(RequestEvent{Method: "POST"})
	}
	first, last := ID{bus.Epoch(), 1}, ID{bus.Epoch(), 3}
	response, body := get(t, server.URL+"?last_event_id="+last.String(), "Last-Event-ID", first.String())
	for name, want := range map[string]string{"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	var seen []string
	frames(t, body, func(frame string) bool {
		seen = append(seen, frame)
		return strings.Contains(frame, "id: "+last.String())
	})
	if len(seen) != 3 || seen[0] != "retry: 3000\n" || !strings.HasPrefix(seen[1], "id: "+(ID{bus.Epoch(), 2}).String()) {
		t.Fatalf("%q", seen)
	}
	_, body = get(t, server.URL+"?last_event_id=nonsense")
	frames(t, body, func(frame string) bool {
		return strings.Contains(frame, "event: reqbus.resync") && strings.Contains(frame, "malformed")
	})
}

func TestSSE_beats_when_nothing_happens_and_ends_with_the_bus(t *testing.T) {
	bus := newBus(t)
	bus.Publish(RequestEvent{})
	server := serve(t, SSEHandler(bus, HandlerOptions{Heartbeat: 10 * time.Millisecond}))
	_, body := get(t, server.URL)
	frames(t, body, func(frame string) bool { return frame == "id: "+bus.Newest().String()+"\n" })
	bus.Close()
	for {
		if _, err := body.ReadString('\n'); err != nil {
			break
		}
	}
	deadline := soon(t)
	for bus.Stats().Subscriptions > 0 && deadline.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if count := bus.Stats().Subscriptions; count != 0 {
		t.Fatalf("%d subscriptions are left", count)
	}
}

func TestSSE_writes_a_burst_at_once(t *testing.T) {
	bus := newBus(t)
	server := serve(t, SSEHandler(bus, HandlerOptions{Linger: 50 * time.Millisecond}))
	_, body := get(t, server.URL)
	frames(t, body, func(frame string) bool { return strings.HasPrefix(frame, "retry:") })
	for range 100 {
		bus.Publish(RequestEvent{Path: "/v1/messages"})
	}
	count := 0
	frames(t, body, func(string) bool { count++; return count == 100 })
}

func TestConnections_are_limited_in_all_and_per_address(t *testing.T) {
	bus := newBus(t)
	limits := &ConnLimits{Total: 2, PerAddress: 1}
	proxies, bad := ParseTrustedProxies("127.0.0.0/8, ::1, nonsense")
	if len(bad) != 1 || bad[0] != "nonsense" || len(proxies) != 2 {
		t.Fatal(proxies, bad)
	}
	server := serve(t, SSEHandler(bus, HandlerOptions{Limits: limits, TrustedProxies: proxies}))
	status := func(client string) int {
		response, _ := get(t, server.URL, "X-Forwarded-For", client)
		return response.StatusCode
	}
	got := []int{status("10.0.0.1, 10.9.9.9"), status("10.0.0.1"), status("10.0.0.2"), status("10.0.0.3")}
	want := []int{200, 503, 200, 503}
	for at := range want {
		if got[at] != want[at] {
			t.Fatal(got, want)
		}
	}
	bus.Close()
	deadline := soon(t)
	for limits.Connections() > 0 && deadline.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if count := limits.Connections(); count != 0 {
		t.Fatal(count, "places are not given back")
	}
}

func TestForwarded_addresses_and_hosts_are_believed_from_trusted_proxies_only(t *testing.T) {
	proxies, _ := ParseTrustedProxies("10.0.0.1")
	request := func(peer string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "http://gateway/", nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-For", "2001:db8::1, 10.0.0.1")
		r.Header.Set("X-Forwarded-Host", "public.example, other")
		return r
	}
	for peer, want := range map[string][2]string{
		"10.0.0.1:1234":         {"2001:db8::1", "public.example"},
		"10.0.0.2:1234":         {"10.0.0.2", "gateway"},
		"[2001:db8::9]:80":      {"2001:db8::9", "gateway"},
		"[::ffff:10.0.0.1]:123": {"2001:db8::1", "public.example"},
	} {
		r := request(peer)
		if client := clientOf(r, proxies); client != netip.MustParseAddr(want[0]) || hostOf(r, proxies) != want[1] {
			t.Errorf("%s: %v %s", peer, client, hostOf(r, proxies))
		}
	}
}

func TestOrigin_policy(t *testing.T) {
	for text, want := range map[string]OriginPolicy{
		"strict": StrictOrigin, " STRICT ": StrictOrigin, "permissive": AllowNoOrigin, "": AllowNoOrigin, "nonsense": AllowNoOrigin,
	} {
		if got := ParseOriginPolicy(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	for _, c := range []struct {
		origin string
		policy OriginPolicy
		want   bool
	}{
		{"", AllowNoOrigin, true}, {"", StrictOrigin, false}, {"https://gateway:8443", StrictOrigin, true},
		{"https://GATEWAY", AllowNoOrigin, true}, {"https://evil.example", AllowNoOrigin, false}, {"null", AllowNoOrigin, false},
		{"https://gateway.evil.example", AllowNoOrigin, false},
	} {
		h := newHandler(nil, []HandlerOptions{{Origin: c.policy}}, time.Second)
		r := httptest.NewRequest(http.MethodGet, "http://gateway/", nil)
		r.Header.Set("Origin", c.origin)
		if got := h.isAllowed(r); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func dial(t *testing.T, server *httptest.Server, query string, options *websocket.DialOptions) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(soon(t), server.URL+query, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	return conn
}

func TestWS_sends_events_and_resumes(t *testing.T) {
	bus := newBus(t)
	server := serve(t, WSHandler(bus, HandlerOptions{Subprotocol: "gateway"}))
	bus.Publish(RequestEvent{Path: "/a"})
	bus.Publish(RequestEvent{Path: "/b"})
	conn := dial(t, server, "?last_event_id="+(ID{bus.Epoch(), 1}).String(), &websocket.DialOptions{
		Subprotocols: []string{"token-of-mine", "gateway"},
	})
	if got := conn.Subprotocol(); got != "gateway" {
		t.Fatalf("the subprotocol is %q", got)
	}
	_, text, err := conn.Read(soon(t))
	if err != nil || !strings.Contains(string(text), `"path":"/b"`) || !strings.Contains(string(text), `"kind":"request"`) {
		t.Fatalf("%s %v", text, err)
	}
	bus.Close()
	if _, _, err = conn.Read(soon(t)); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Fatal(err)
	}
}

func TestWS_says_4001_when_it_is_switched_off(t *testing.T) {
	bus := newBus(t)
	server := serve(t, WSHandler(bus, HandlerOptions{IsDisabled: func() bool { return true }}))
	conn := dial(t, server, "", nil)
	_, _, err := conn.Read(soon(t))
	if websocket.CloseStatus(err) != CloseDisabled || !strings.Contains(err.Error(), "realtime_disabled") {
		t.Fatal(err)
	}
	if response, _ := get(t, server.URL); response.StatusCode != http.StatusNotFound {
		t.Fatal(response.Status)
	}
}

func TestWS_refuses_before_the_upgrade(t *testing.T) {
	bus := newBus(t)
	server := serve(t, WSHandler(bus, HandlerOptions{Limits: &ConnLimits{Total: 1}}))
	dial(t, server, "", nil)
	_, response, err := websocket.Dial(soon(t), server.URL, nil)
	if err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Fatal(response, err)
	}
	_, response, err = websocket.Dial(soon(t), server.URL, &websocket.DialOptions{
		HTTPHeader: http.Header{"Origin": {"https://evil.example"}},
	})
	if err == nil || response.StatusCode != http.StatusForbidden {
		t.Fatal(response, err)
	}
	server = serve(t, WSHandler(nil))
	if _, response, _ = websocket.Dial(soon(t), server.URL, nil); response.StatusCode != http.StatusServiceUnavailable {
		t.Fatal(response.Status)
	}
}

func TestHandlers_leave_nothing_behind_when_clients_go(t *testing.T) {
	bus := newBus(t)
	mux := http.NewServeMux()
	mux.Handle("/sse", SSEHandler(bus))
	mux.Handle("/ws", WSHandler(bus))
	mux.Handle("/viewer", ViewerHandler())
	server := serve(t, mux)
	ctx, cancel := context.WithCancel(context.Background())
	for range 5 {
		request, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/sse", nil)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		conn, _, err := websocket.Dial(ctx, server.URL+"/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		go conn.Read(ctx)
	}
	if response, _ := get(t, server.URL+"/viewer"); response.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatal(response.Header)
	}
	cancel()
	deadline := soon(t)
	for bus.Stats().Subscriptions > 0 && deadline.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if count := bus.Stats().Subscriptions; count != 0 {
		t.Fatalf("%d subscriptions are left", count)
	}
}

func TestClients_that_read_nothing_are_cut_off(t *testing.T) {
	for path, upgrade := range map[string]string{
		"/sse": "",
		"/ws": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
	} {
		bus := newBus(t)
		mux := http.NewServeMux()
		options := HandlerOptions{WriteTimeout: 20 * time.Millisecond}
		mux.Handle("/sse", SSEHandler(bus, options))
		mux.Handle("/ws", WSHandler(bus, options))
		server := serve(t, mux)
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: gateway\r\n%s\r\n", path, upgrade); err != nil {
			t.Fatal(err)
		}
		until(t, "the client is there", func() bool { return bus.Stats().Subscriptions == 1 })
		large := NewEvent{Kind: "k", Sort: Text, Payload: bytes.Repeat([]byte("x"), 256<<10)}
		until(t, path+": it is cut off", func() bool {
			// More than the sockets hold.
			if _, err := bus.PublishEvent(large); err != nil {
				t.Fatal(err)
			}
			return bus.Stats().Subscriptions == 0
		})
	}
}
