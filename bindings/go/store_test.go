//go:build cgo && reqbus_testclock

package reqbus

import (
	"context"
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
		slot, err := pool.AcquireAll(context.Background(), []Ask{{User(42), 1}}, Timeout(time.Second))
		slot.Release()
		got <- err
	}()
	for {
		select {
		case err := <-got:
			if !errors.Is(err, ErrStoreUnavailable) || RefusalOf(err).Outcome != OutcomeStoreUnavailable || errors.Is(err, ErrTimedOut) {
				t.Fatal(err)
			}
			return
		default:
			clock.advance(10 * time.Millisecond)
		}
	}
}
