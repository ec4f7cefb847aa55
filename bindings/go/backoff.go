//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape reqbus_backoff_attempt
#cgo nocallback reqbus_backoff_attempt
#cgo noescape reqbus_backoff_free
#cgo nocallback reqbus_backoff_free
#cgo noescape reqbus_backoff_new
#cgo nocallback reqbus_backoff_new
#cgo noescape reqbus_backoff_next
#cgo nocallback reqbus_backoff_next
#cgo noescape reqbus_backoff_reset
#cgo nocallback reqbus_backoff_reset
*/
import "C"

import (
	"context"
	"runtime"
	"time"
)

// BackoffOptions says how a backoff is made. Zero is every default.
type BackoffOptions struct {
	// First is the first delay; default 100 ms.
	First time.Duration
	// Cap is the longest; default 2 s.
	Cap time.Duration
	// Seed makes the delays the same each time. nil draws one.
	Seed *uint64
	// Exact leaves the jitter out: 100, 150, 225, 337.5 ... 2000 ms.
	Exact bool
}

// Backoff gives delays between tries: the first, then each half as long again, up to a cap, each spread by a jitter of a
// fifth. It knows no clock and waits for nobody, but for [Backoff.Wait].
type Backoff struct{ core *backoffCore }

type backoffCore struct{ native *C.reqbus_backoff }

// handle is the native handle, for a call through which the Backoff is kept alive.
func (c *backoffCore) handle() *C.reqbus_backoff {
	native := c.native
	collect()
	return native
}

func (c *backoffCore) free() { C.reqbus_backoff_free(&c.native) }

// NewBackoff makes a backoff.
func NewBackoff(options BackoffOptions) (*Backoff, error) {
	for name, delay := range map[string]time.Duration{"first": options.First, "cap": options.Cap} {
		if delay < 0 {
			return nil, &Error{Kind: KindInvalidArgument, Context: name, Message: "the delay is negative"}
		}
	}
	how := C.reqbus_backoff_options{
		size: C.sizeof_reqbus_backoff_options, first_ns: C.uint64_t(options.First), cap_ns: C.uint64_t(options.Cap),
	}
	if options.Seed != nil {
		how.flags |= C.REQBUS_BACKOFF_SEEDED
		how.seed = C.uint64_t(*options.Seed)
	}
	if options.Exact {
		how.flags |= C.REQBUS_BACKOFF_EXACT
	}
	core := &backoffCore{}
	var failed *C.reqbus_error
	if status := C.reqbus_backoff_new(&how, &core.native, &failed); status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	backoff := &Backoff{core}
	runtime.AddCleanup(backoff, (*backoffCore).free, core)
	return backoff, nil
}

// Next is the next delay.
func (b *Backoff) Next() time.Duration {
	defer runtime.KeepAlive(b)
	var delay C.uint64_t
	C.reqbus_backoff_next(b.core.handle(), &delay)
	return nanos(delay)
}

// Wait waits for the next delay, or for ctx, whose error it returns.
func (b *Backoff) Wait(ctx context.Context) error { return sleep(ctx, b.Next()) }

// Attempt is how many delays were taken since the beginning or the last reset.
func (b *Backoff) Attempt() int {
	defer runtime.KeepAlive(b)
	var attempt C.uint32_t
	C.reqbus_backoff_attempt(b.core.handle(), &attempt)
	return int(attempt)
}

// Reset begins again with the first delay; the jitter goes on.
func (b *Backoff) Reset() {
	defer runtime.KeepAlive(b)
	C.reqbus_backoff_reset(b.core.handle())
}
