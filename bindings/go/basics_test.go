//go:build cgo

package reqbus

import (
	"context"
	"errors"
	"testing"
	"time"
)

// fewer is count, or a tenth of it in a build that collects before each call.
func fewer(count int) int {
	if isCollecting {
		return count / 10
	}
	return count
}

func newBus(t testing.TB) *Bus {
	t.Helper()
	bus, err := NewBus(BusOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	return bus
}

func newPool(t testing.TB) *Pool {
	t.Helper()
	pool, err := NewPool(PoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return pool
}

func subscribe(t testing.TB, bus *Bus, options SubscribeOptions) *Subscription {
	t.Helper()
	sub, err := bus.Subscribe(context.Background(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	return sub
}

// soon is a context for what must happen: long enough for any machine, and then the test fails.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestA_reader_that_sleeps_is_woken_by_a_publish(t *testing.T) {
	bus := newBus(t)
	sub := subscribe(t, bus, SubscribeOptions{})
	done := make(chan error)
	go func() {
		var seen int
		for item := range sub.Items(soon(t)) {
			if event, ok := item.(*Event); ok && event.Request != nil && event.Request.AccountID == 42 {
				seen++
			}
			if seen == 3 {
				break
			}
		}
		done <- sub.Err()
	}()
	for range 3 {
		time.Sleep(10 * time.Millisecond)
		if err := bus.Publish(RequestEvent{Method: "POST", Path: "/v1/messages", AccountID: 42}); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestA_wait_is_handed_the_slot_that_is_released(t *testing.T) {
	pool := newPool(t)
	slot, err := pool.Acquire(soon(t), User(42), 1)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		slot, err := pool.Acquire(soon(t), User(42), 1)
		slot.Release()
		got <- err
	}()
	for {
		loads, err := pool.Load(soon(t), User(42))
		if err != nil {
			t.Fatal(err)
		}
		if loads[0].Waiting == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if released := slot.Release(); released != ReleasedNow {
		t.Fatal(released)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if released := slot.Release(); released != AlreadyReleased {
		t.Fatal(released)
	}
}

func TestA_refusal_says_why(t *testing.T) {
	pool := newPool(t)
	slot, err := pool.Acquire(soon(t), User(42), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer slot.Release()
	_, err = pool.Acquire(soon(t), User(42), 1, Timeout(0))
	if !errors.Is(err, ErrNoRoom) || RefusalOf(err).InUse != 1 || RefusalOf(err).Scope != "user" {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err = pool.Acquire(ctx, User(42), 1)
	if !errors.Is(err, ErrCancelled) || !errors.Is(err, context.Canceled) || errors.Is(err, ErrTimedOut) {
		t.Fatal(err)
	}
	_, err = pool.Acquire(soon(t), User(42), 1, Timeout(10*time.Millisecond))
	if !errors.Is(err, ErrTimedOut) {
		t.Fatal(err)
	}
}
