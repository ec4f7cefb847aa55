//go:build cgo && reqbus_testclock

package reqbus

import (
	"context"
	"runtime"
	"time"
)

// scriptClock is the clock of a case, if it moves one.
type scriptClock struct {
	clock *testClock
	fault *testFault
}

func newScriptClock() scriptClock { return scriptClock{clock: newTestClock()} }

func (c scriptClock) isThere() bool { return c.clock != nil }

func (c scriptClock) newBus(options BusOptions) (*Bus, error)    { return c.clock.newBus(options) }
func (c scriptClock) newPool(options PoolOptions) (*Pool, error) { return c.clock.newPool(options) }

func (c scriptClock) newAdmission(options RunnerOptions) (*Admission, error) {
	return c.clock.newAdmission(options)
}

// newPoolOnLine makes a pool on a store behind a good line, which answers when the clock is advanced.
func (c *scriptClock) newPoolOnLine(options PoolOptions) (*Pool, error) {
	c.fault = newTestFault()
	return c.clock.newPoolOn(testLine{}, c.fault, options)
}

func (c scriptClock) isOnLine() bool { return c.fault != nil }

func (c scriptClock) advance(by time.Duration) {
	if c.clock == nil {
		fail("no clock to move")
	}
	c.clock.advance(by)
}

// drive does what may wait for the store, and moves messages meanwhile: the clock goes on by nothing.
func (c scriptClock) drive(call func()) {
	if !c.isOnLine() {
		call()
		return
	}
	ctx, done := context.WithCancel(context.Background())
	go func() {
		defer done()
		call()
	}()
	for ctx.Err() == nil {
		c.clock.advance(0)
		runtime.Gosched()
	}
	c.settle()
}

// settle lets all messages arrive that are under way.
func (c scriptClock) settle() {
	if c.isOnLine() {
		for range 8 {
			c.clock.advance(0)
		}
	}
}

func (c scriptClock) free() {
	if c.clock != nil {
		c.clock.free()
	}
	if c.fault != nil {
		c.fault.free()
	}
}
