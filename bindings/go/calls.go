//go:build cgo

package reqbus

import "sync/atomic"

// calls counts the calls in flight on a native handle, which must not be freed under them. The zero value is open.
type calls struct{ state atomic.Int64 }

// isEnded is the bit of a handle that is to be freed: nobody enters any more, and who leaves last frees.
const isEnded = 1 << 62

// enter begins a call; false if the handle is gone, or about to be.
func (c *calls) enter() bool {
	for {
		state := c.state.Load()
		if state&isEnded != 0 {
			return false
		}
		if c.state.CompareAndSwap(state, state+1) {
			return true
		}
	}
}

// leave ends a call; true if the caller must free the handle now.
func (c *calls) leave() bool { return c.state.Add(-1) == isEnded }

// end says that the handle is to be freed; first is false if that was said before. If free, the caller frees it now,
// else the call does that leaves last.
func (c *calls) end() (first, free bool) {
	for {
		state := c.state.Load()
		if state&isEnded != 0 {
			return false, false
		}
		if c.state.CompareAndSwap(state, state|isEnded) {
			return true, state == 0
		}
	}
}

// hasEnded says whether end was called.
func (c *calls) hasEnded() bool { return c.state.Load()&isEnded != 0 }

// own is end for a caller who wants the handle for itself: only if nobody is in a call.
func (c *calls) own() bool { return c.state.CompareAndSwap(0, isEnded) }

// reopen takes back own.
func (c *calls) reopen() { c.state.Store(0) }
