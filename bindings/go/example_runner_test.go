//go:build cgo

package reqbus_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

func ExampleRunner() {
	// The host's own store: what was last checked too long ago.
	due := func(ctx context.Context) ([]reqbus.Due, error) {
		return []reqbus.Due{{ID: "account-7", Overdue: 12 * time.Second}}, nil
	}
	done := make(chan struct{}, 100)
	check := func(ctx context.Context, id string) error { // ctx ends when the check is over its time
		fmt.Println("checking", id)
		done <- struct{}{}
		return nil
	}
	runner, err := reqbus.NewRunner(due, check, reqbus.RunnerOptions{})
	if err != nil {
		panic(err)
	}
	if err := runner.Start(); err != nil {
		panic(err)
	}
	<-done // the gateway serves

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if left, err := runner.Stop(ctx); err != nil {
		fmt.Println("not ended:", left)
	}
	fmt.Println(runner.Stats().Succeeded, "succeeded")
	// Output:
	// checking account-7
	// 1 succeeded
}

func ExampleAdmission() {
	admission, err := reqbus.NewAdmission(reqbus.RunnerOptions{AtOnce: 2})
	if err != nil {
		panic(err)
	}
	defer admission.Close()
	// A loop of the host's own: it sleeps for admission.UntilNextRound(), and then:
	permits, err := admission.Admit([]reqbus.Due{{ID: "a"}, {ID: "b", Overdue: time.Second}, {ID: "c"}}, 10)
	if err != nil {
		panic(err)
	}
	for _, permit := range permits {
		fmt.Println(permit.ID(), permit.Finish(reqbus.Succeeded))
	}
	fmt.Println(admission.Stats().SkippedFull, "found no room")
	// Output:
	// b true
	// a true
	// 1 found no room
}

func ExampleTeller() {
	bus, err := reqbus.NewBus(reqbus.BusOptions{})
	if err != nil {
		panic(err)
	}
	defer bus.Close()
	teller, err := reqbus.NewTeller(bus, reqbus.TellerOptions{Kinds: []string{reqbus.TellRefused}})
	if err != nil {
		panic(err)
	}
	pool, err := reqbus.NewPool(reqbus.PoolOptions{Teller: teller})
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	ctx := context.Background()
	sub, err := bus.Subscribe(ctx, reqbus.SubscribeOptions{Kinds: []string{reqbus.TellRefused}})
	if err != nil {
		panic(err)
	}
	defer sub.Close()

	slot, err := pool.Acquire(ctx, reqbus.User(42), 1)
	if err != nil {
		panic(err)
	}
	defer slot.Release()
	_, err = pool.Acquire(ctx, reqbus.User(42), 1, reqbus.Timeout(0))
	fmt.Println(errors.Is(err, reqbus.ErrNoRoom))
	batch, err := sub.NextBatch(ctx)
	if err != nil {
		panic(err)
	}
	event := batch.Items[0].(*reqbus.Event)
	fmt.Println(event.Kind, event.Key)
	// Output:
	// true
	// slot.refused 42
}
