//go:build cgo

package reqbus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

func Example() {
	bus, err := reqbus.NewBus(reqbus.BusOptions{})
	if err != nil {
		panic(err)
	}
	defer bus.Close()
	ctx := context.Background()
	sub, err := bus.Subscribe(ctx, reqbus.SubscribeOptions{Overflow: reqbus.CatchUp, Label: "logger"})
	if err != nil {
		panic(err)
	}
	defer sub.Close()

	bus.Publish(reqbus.RequestEvent{Method: "POST", Path: "/v1/messages", AccountID: 42, Latency: 812 * time.Millisecond})
	bus.Close()

	for item := range sub.Items(ctx) {
		switch item := item.(type) {
		case *reqbus.Event:
			r := item.Request
			fmt.Println(item.N, item.Kind, r.Method, r.Path, r.AccountID, r.Status, r.Latency)
		case reqbus.Lost:
			fmt.Println("lost", item.Missed, item.Reason)
		}
	}
	fmt.Println(sub.Err())
	// Output:
	// 1 request POST /v1/messages 42 success 812ms
	// reqbus: closed
}

func ExampleBus_Subscribe_resume() {
	bus, err := reqbus.NewBus(reqbus.BusOptions{})
	if err != nil {
		panic(err)
	}
	defer bus.Close()
	var first reqbus.ID
	for at := range 3 {
		id, err := bus.PublishEvent(reqbus.NewEvent{Kind: "deploy", Sort: reqbus.Text, Payload: []byte(fmt.Sprint("v", at))})
		if err != nil {
			panic(err)
		}
		if at == 0 {
			first = id
		}
	}
	sub, err := bus.Subscribe(context.Background(), reqbus.SubscribeOptions{Start: reqbus.After, After: first.String()})
	if err != nil {
		panic(err)
	}
	defer sub.Close()
	batch, err := sub.NextBatch(context.Background())
	if err != nil {
		panic(err)
	}
	for _, item := range batch.Items {
		fmt.Println(item.(*reqbus.Event).ID.Seq, string(item.(*reqbus.Event).Payload))
	}
	// Output:
	// 2 v1
	// 3 v2
}

func ExamplePool_Acquire() {
	pool, err := reqbus.NewPool(reqbus.PoolOptions{})
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	ctx := context.Background()

	slot, err := pool.Acquire(ctx, reqbus.User(42), reqbus.Limit(1))
	if err != nil {
		panic(err)
	}
	defer slot.Release()

	_, err = pool.Acquire(ctx, reqbus.User(42), reqbus.Limit(1), reqbus.Timeout(10*time.Millisecond))
	if errors.Is(err, reqbus.ErrTimedOut) {
		why := reqbus.RefusalOf(err)
		fmt.Println(why.Outcome, why.Scope, "limit", why.Limit, "in use", why.InUse)
	}
	// Output:
	// timed_out user limit 1 in use 1
}

func ExamplePool_AcquireAll() {
	pool, err := reqbus.NewPool(reqbus.PoolOptions{})
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	slot, err := pool.AcquireAll(context.Background(), []reqbus.Ask{
		{Key: reqbus.Account(7), Limit: 20},
		{Key: reqbus.User(42), Limit: 5},
	}, reqbus.Label("req-1"), reqbus.OnPing(func() error { return nil }))
	if err != nil {
		panic(err)
	}
	fmt.Println(slot.Keys())
	fmt.Println(slot.Release(), slot.Release())
	// Output:
	// [{user 42} {account 7}]
	// released already
}

func ExampleBackoff() {
	backoff, err := reqbus.NewBackoff(reqbus.BackoffOptions{Exact: true})
	if err != nil {
		panic(err)
	}
	fmt.Println(backoff.Next(), backoff.Next(), backoff.Next(), backoff.Next())
	// Output:
	// 100ms 150ms 225ms 337.5ms
}

func ExampleSSEHandler() {
	bus, err := reqbus.NewBus(reqbus.BusOptions{})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/events", reqbus.SSEHandler(bus))
	mux.Handle("/ws", reqbus.WSHandler(bus))
	mux.Handle("/viewer", reqbus.ViewerHandler())
	server := httptest.NewServer(mux)
	defer server.Close()
	defer bus.Close()
	response, err := http.Get(server.URL + "/events")
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	fmt.Println(response.Header.Get("Content-Type"))
	// Output:
	// text/event-stream
}
