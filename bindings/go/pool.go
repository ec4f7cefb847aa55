//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_pool_new
#cgo nocallback rb_pool_new
#cgo noescape rb_slot_end
#cgo nocallback rb_slot_end
#cgo noescape rb_slot_end_ringing
#cgo nocallback rb_slot_end_ringing
#cgo noescape reqbus_pool_close
#cgo nocallback reqbus_pool_close
#cgo noescape reqbus_pool_free
#cgo nocallback reqbus_pool_free
*/
import "C"

import (
	"runtime"
	"sync/atomic"
	"time"
)

// PoolOptions says how a pool is made. Zero is every default.
type PoolOptions struct {
	// First are scopes that waits take first, in this order, and Last those that they take last. If neither is given:
	// first "user" and "api_key", last "account". All others come between, by their bytes.
	First, Last []string
	// Processes is among how many processes a limit is divided, for pre-fork workers each of which makes its own pool.
	// Default 1.
	Processes int
	// Teller tells on its bus what happens to waits and slots. nil tells nobody.
	Teller *Teller
	// HeldLong is from when on a slot is held for long, if the teller tells [TellHeldLong]. Default 10 minutes.
	HeldLong time.Duration
	// OnLeak hears of slots that were collected without a release, on a goroutine that uses the pool or on one of its own.
	OnLeak func(Leak)
}

// Pool limits requests in flight, per user, account, key or whatever else a host names. It is in this process's memory.
//
// Close it when the gateway ends; its memory is given back with the last reference to it.
type Pool struct{ core *poolCore }

// poolCore is what a pool leaves behind for its clean-up and for its slots.
type poolCore struct {
	native *C.reqbus_pool
	// told is where the library tells leaks.
	told   *C.rb_leaks
	bell   bellOf
	place  atomic.Pointer[place]
	leaks  leaks
	onLeak func(Leak)
	// waiting counts who sleeps in a queue: while it is 0, a release has nobody to wake.
	waiting atomic.Int64
	// timeoutMS is given to calls that may reach a store: memory answers at once.
	timeoutMS C.int64_t
	isFreed   atomic.Bool
}

// handle is the native handle, for a call through which the Pool is kept alive.
func (c *poolCore) handle() *C.reqbus_pool {
	native := c.native
	collect()
	return native
}

// NewPool makes a pool.
func NewPool(options PoolOptions) (*Pool, error) {
	defer runtime.KeepAlive(options.Teller)
	how, texts, err := options.native()
	if err != nil {
		return nil, err
	}
	core := &poolCore{onLeak: options.OnLeak}
	var failed *C.reqbus_error
	status := C.rb_pool_new(&how, texts.text(), texts.sizes(), &core.native, &core.told, &failed)
	if status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	return poolOf(core), nil
}

func (o *PoolOptions) native() (how C.rb_pool_how, texts packed, err error) {
	if o.Processes < 0 {
		return how, texts, &Error{Kind: KindInvalidArgument, Context: "processes", Message: "it is negative"}
	}
	if o.HeldLong < 0 {
		return how, texts, &Error{Kind: KindInvalidArgument, Context: "held_long", Message: "it is negative"}
	}
	how = C.rb_pool_how{
		first: C.size_t(len(o.First)), last: C.size_t(len(o.Last)), processes: C.uint32_t(o.Processes),
		teller: o.Teller.native(), held_long_ms: C.uint64_t(milliseconds(o.HeldLong)),
	}
	for _, scope := range o.First {
		texts.add(scope)
	}
	for _, scope := range o.Last {
		texts.add(scope)
	}
	return how, texts, nil
}

func poolOf(core *poolCore) *Pool {
	pool := &Pool{core: core}
	runtime.AddCleanup(pool, (*poolCore).free, core)
	return pool
}

// free runs when nobody has the pool any more. Its slots may be out still.
func (c *poolCore) free() {
	c.sweep()
	c.leaks.mu.Lock()
	c.isFreed.Store(true)
	C.reqbus_pool_free(&c.native)
	c.leaks.mu.Unlock()
	c.bell.close()
	c.letGo()
	c.watch()
}

// Close refuses who waits and every newcomer with [ErrClosed]. Slots that are out stay valid and are released as ever.
// Idempotent.
func (p *Pool) Close() error {
	if p == nil {
		return nil
	}
	defer runtime.KeepAlive(p)
	status := C.reqbus_pool_close(p.core.handle())
	p.core.look()
	p.core.bell.close()
	return ofStatus(status)
}

// endSlot releases and frees a native slot, and wakes who gets what it held.
func (c *poolCore) endSlot(native *C.reqbus_slot) C.reqbus_status {
	if c.waiting.Load() > 0 {
		if b := c.bell.open(); b != nil && b.retain() {
			defer b.release()
			var tokens C.rb_tokens
			status := C.rb_slot_end_ringing(native, b.native, &tokens)
			b.wakeAll(&tokens)
			return status
		}
	}
	return C.rb_slot_end(native)
}

// look wakes who is ready already, without the way over the bell's own goroutine.
func (c *poolCore) look() {
	if c.waiting.Load() == 0 {
		return
	}
	if b := c.bell.open(); b != nil && b.retain() {
		b.take()
		b.release()
	}
}

// nobody is what a nil pool answers.
func nobody() error {
	return &Error{Kind: KindInvalidArgument, Context: "pool", Message: "the pool is nil"}
}
