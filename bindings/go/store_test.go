//go:build cgo && reqbus_testclock

package reqbus

import (
	"errors"
	"testing"
	"time"
)

// A store that cannot be reached: its failure surfaces as what it is, and never as a limit.
func TestWaitForSlotWithPingTimeout_AcquireError(t *testing.T) {
	clock, fault := newTestClock(), newTestFault()
	defer clock.free()
	defer fault.free()
	pool, err := clock.newPoolOn(testLine{}, fault, PoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	fault.goDown()
	got := make(chan error)
	go func() {
		slot, err := pool.TryAcquire([]Ask{{User(42), 1}}, "")
		slot.Release()
		got <- err
	}()
	unavailable := func(err error) {
		if !errors.Is(err, ErrStoreUnavailable) || RefusalOf(err).Outcome != OutcomeStoreUnavailable || errors.Is(err, ErrTimedOut) {
			t.Fatal(err)
		}
	}
	for over := false; !over; {
		select {
		case err := <-got:
			unavailable(err)
			over = true
		default:
			clock.advance(100 * time.Millisecond)
		}
	}
	wait, err := pool.Wait([]Ask{{User(42), 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer wait.Close()
	for range 100 { // 10 s: a third of what it would wait for its turn
		clock.advance(100 * time.Millisecond)
	}
	step, _, err := wait.Try()
	if step != Ended {
		t.Fatal(step)
	}
	unavailable(err)
}
