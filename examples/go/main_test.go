package main

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

func TestRequests_are_limited_and_told(t *testing.T) {
	bus, err := reqbus.NewBus(reqbus.BusOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	pool, err := reqbus.NewPool(reqbus.PoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	upstream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("{}")) })
	server := httptest.NewServer(handler(&gateway{bus, pool, 1, upstream}))
	defer server.Close()

	events, err := http.Get(server.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	lines := bufio.NewScanner(events.Body)
	next := func() string {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return data
			}
		}
		t.Fatal(lines.Err())
		return ""
	}
	ask := func(user string) int {
		request, _ := http.NewRequest(http.MethodPost, server.URL+"/v1/messages", strings.NewReader("{}"))
		request.Header.Set("X-User", user)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if code := ask("42"); code != http.StatusOK {
		t.Fatal(code)
	}
	if told := next(); !strings.Contains(told, `"account_id":42`) || !strings.Contains(told, `"status":"success"`) {
		t.Fatal(told)
	}
	if err := pool.CloseKey(t.Context(), reqbus.User(7)); err != nil {
		t.Fatal(err)
	}
	if code := ask("7"); code != http.StatusServiceUnavailable {
		t.Fatal(code)
	}
	if told := next(); !strings.Contains(told, `"account_id":7`) || !strings.Contains(told, `"status":"error"`) {
		t.Fatal(told)
	}
}
