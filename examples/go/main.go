// A gateway in small: each request takes a slot of its user, waits its turn if there is none free, and is told to whoever
// reads /events. Try it:
//
//	go run . &
//	curl -N localhost:8080/events &
//	curl -H 'X-User: 42' -d '{}' localhost:8080/v1/messages
package main

import (
	"errors"
	"log"
	"net/http"
	"strconv"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// gateway forwards requests of users, each of whom may have so many in flight.
type gateway struct {
	bus     *reqbus.Bus
	pool    *reqbus.Pool
	limit   reqbus.Limit
	forward http.Handler
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun, status := time.Now(), reqbus.Failure
	user, _ := strconv.ParseInt(r.Header.Get("X-User"), 10, 64)
	defer func() {
		g.bus.Publish(reqbus.RequestEvent{
			Method: r.Method, Path: r.URL.Path, AccountID: user, Status: status, Latency: time.Since(begun),
		})
	}()
	slot, err := g.pool.Acquire(r.Context(), reqbus.User(user), g.limit)
	if err != nil {
		status = refuse(w, err)
		return
	}
	defer slot.Release()
	g.forward.ServeHTTP(w, r)
	status = reqbus.Success
}

// refuse answers a request that got no slot.
func refuse(w http.ResponseWriter, err error) reqbus.RequestStatus {
	if errors.Is(err, reqbus.ErrClosed) || errors.Is(err, reqbus.ErrStoreUnavailable) {
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return reqbus.Failure
	}
	if after := reqbus.RefusalOf(err).RetryAfter; after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())))
	}
	http.Error(w, "too many requests of yours are in flight", http.StatusTooManyRequests)
	return reqbus.RateLimited
}

func handler(g *gateway) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/", g)
	mux.Handle("/events", reqbus.SSEHandler(g.bus))
	mux.Handle("/ws", reqbus.WSHandler(g.bus))
	mux.Handle("/viewer", reqbus.ViewerHandler())
	return mux
}

func main() {
	bus, err := reqbus.NewBus(reqbus.BusOptions{})
	if err != nil {
		log.Fatal(err)
	}
	pool, err := reqbus.NewPool(reqbus.PoolOptions{})
	if err != nil {
		log.Fatal(err)
	}
	upstream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("{}\n")) })
	log.Fatal(http.ListenAndServe(":8080", handler(&gateway{bus, pool, 5, upstream})))
}
