package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// cpu is the processor time of this process.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

const (
	dashboards = 64
	// What a gateway finishes in one second at 5,000 requests a second.
	frames = 5_000
)

// readAll connects 64 readers over loopback and returns when each has its frames; the readers do as little as can be, and
// the same beside both. begin runs when all are there.
func readAll(handler http.Handler, begin func()) {
	server := httptest.NewServer(handler)
	defer server.Close()
	address := server.Listener.Addr().String()
	var ready, done sync.WaitGroup
	for range dashboards {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			conn, err := net.Dial("tcp", address)
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
			buffer := make([]byte, 64<<10)
			seen := 0
			for first := true; seen < frames; {
				n, err := conn.Read(buffer)
				if err != nil {
					panic(fmt.Sprint("after ", seen, " frames: ", err))
				}
				if first {
					first = false
					ready.Done()
				}
				// One to a frame, wherever reads and chunks end.
				seen += bytes.Count(buffer[:n], []byte("{"))
				if bytes.Contains(buffer[:n], []byte("reqbus.lost")) {
					panic("lost")
				}
			}
		}()
	}
	ready.Wait()
	begin()
	done.Wait()
}

// paced publishes the frames over a second, in small groups as they come from many connections.
func paced(publish func()) {
	const each = 5
	begun := time.Now()
	for at := range frames / each {
		for range each {
			publish()
		}
		if wait := time.Duration(at+1)*time.Second*each/frames - time.Since(begun); wait > 0 {
			time.Sleep(wait)
		}
	}
}

func dashboardsRow(r *report) {
	ours := func() float64 {
		bus := must(reqbus.NewBus(reqbus.BusOptions{LogEvents: frames}))
		defer bus.Close()
		limits := &reqbus.ConnLimits{Total: -1, PerAddress: -1}
		event := reqbus.RequestEvent{
			Timestamp: time.Now(), Method: "POST", Path: "/v1/messages", Model: "m-large", AccountID: 42, Latency: 812 * time.Millisecond,
		}
		var before time.Duration
		readAll(reqbus.SSEHandler(bus, reqbus.HandlerOptions{Limits: limits}), func() {
			before = cpu()
			paced(func() { bus.Publish(event) })
		})
		return float64((cpu() - before).Nanoseconds()) / (frames * dashboards)
	}
	peer := func() float64 {
		bus := newChannelBus()
		event := requestEvent{
			Timestamp: time.Now(), Method: "POST", Path: "/v1/messages", Model: "m-large", AccountID: 42, Status: "success", LatencyMS: 812,
		}
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, events := bus.subscribe()
			defer bus.unsubscribe(id)
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, ": connected\n\n")
			flusher := w.(http.Flusher)
			flusher.Flush()
			for {
				select {
				case event := <-events:
					text, err := json.Marshal(event)
					if err != nil {
						panic(err)
					}
					if _, err := fmt.Fprintf(w, "event: request\ndata: %s\n\n", text); err != nil {
						return
					}
					flusher.Flush()
				case <-r.Context().Done():
					return
				}
			}
		})
		var before time.Duration
		readAll(handler, func() {
			before = cpu()
			paced(func() {
				// None lost: a publisher that is too quick for the channels waits for them.
				for bus.isFull() {
					time.Sleep(100 * time.Microsecond)
				}
				bus.publish(event)
			})
		})
		return float64((cpu() - before).Nanoseconds()) / (frames * dashboards)
	}
	r.measure(row{"go/dashboards/64", "json.Marshal per client", "CPU ns/frame", 0.2}, 5, ours, peer)
}

func (b *channelBus) isFull() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, events := range b.subs {
		if len(events) == cap(events) {
			return true
		}
	}
	return false
}
