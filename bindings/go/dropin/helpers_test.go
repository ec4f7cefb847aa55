package dropin

import (
	"context"
	"testing"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

func newBus(t *testing.T, options reqbus.BusOptions) *reqbus.Bus {
	t.Helper()
	bus, err := reqbus.NewBus(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	return bus
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := soon(t); !is(); time.Sleep(time.Millisecond) {
		if deadline.Err() != nil {
			t.Fatal("never: ", what)
		}
	}
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case got, ok := <-from:
		if !ok {
			t.Fatal("the channel is closed")
		}
		return got
	case <-soon(t).Done():
		t.Fatal("nothing comes")
		panic("unreachable")
	}
}

func publish(t *testing.T, bus *reqbus.Bus, count int) {
	t.Helper()
	for range count {
		if _, err := bus.PublishEvent(reqbus.NewEvent{Kind: "k", Sort: reqbus.Text}); err != nil {
			t.Fatal(err)
		}
	}
}

func idAt(bus *reqbus.Bus, seq uint64) string {
	return reqbus.ID{Epoch: bus.Epoch(), Seq: seq}.String()
}

func newSlots(t *testing.T) *Slots {
	t.Helper()
	pool, err := reqbus.NewPool(reqbus.PoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return &Slots{Pool: pool}
}

func inUse(t *testing.T, s *Slots, key reqbus.Key) reqbus.Load {
	t.Helper()
	loads, err := s.Pool.Load(soon(t), key)
	if err != nil {
		t.Fatal(err)
	}
	return loads[0]
}
