package dropin_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
	"github.com/reqbus/reqbus/bindings/go/dropin"
)

func ExampleSlots() {
	pool, err := reqbus.NewPool(reqbus.PoolOptions{})
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	slots := &dropin.Slots{Pool: pool, Ping: dropin.PingClaude}
	ctx := context.Background() // the request's
	w := httptest.NewRecorder()
	streamStarted := false
	release, err := slots.AcquireUserSlotWithWait(ctx, w, 42, 1, true, &streamStarted)
	if err != nil {
		panic(err)
	}
	defer release()

	_, err = slots.AcquireWithWait(ctx, w, reqbus.User(42), 1, 10*time.Millisecond, true, &streamStarted)
	if err := dropin.AnswerOf(err, "user").Write(w, streamStarted); err != nil {
		panic(err)
	}
	fmt.Println(w.Code, w.Body)
	// Output:
	// 429 {"type":"error","error":{"type":"rate_limit_error","message":"Concurrency limit exceeded for user, please retry later","code":"gateway_concurrency_limit"}}
}

func ExampleRunner() {
	checked := make(chan string, 1)
	load := func(ctx context.Context) ([]dropin.Task, error) { // from the host's own store
		return []dropin.Task{{ID: 7, Interval: time.Minute, Check: func(ctx context.Context) error {
			checked <- "account 7"
			return nil
		}}}, nil
	}
	runner, err := dropin.NewRunner(load, reqbus.RunnerOptions{})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if err := runner.Start(ctx); err != nil {
		panic(err)
	}
	fmt.Println("checked", <-checked)
	if left, err := runner.Stop(ctx); err != nil {
		fmt.Println("not ended:", left)
	}
	// Output:
	// checked account 7
}

func ExampleBroker() {
	bus, err := reqbus.NewBus(reqbus.BusOptions{})
	if err != nil {
		panic(err)
	}
	defer bus.Close()
	broker := dropin.NewBroker(bus)
	for range 3 {
		bus.Publish(reqbus.RequestEvent{Path: "/v1/messages"})
	}
	lastID := reqbus.ID{Epoch: bus.Epoch(), Seq: 1}.String() // from the header Last-Event-ID
	replay, needResync, live, err := broker.Subscribe(lastID)
	if err != nil {
		panic(err)
	}
	defer broker.Unsubscribe(live)
	for _, event := range replay {
		fmt.Println("again", event.ID.Seq)
	}
	bus.Publish(reqbus.RequestEvent{Path: "/v1/messages"})
	fmt.Println("live", (<-live).ID.Seq, "resync", needResync)
	// Output:
	// again 2
	// again 3
	// live 4 resync false
}
