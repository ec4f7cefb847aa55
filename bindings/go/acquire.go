//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_acquire_one
#cgo nocallback rb_acquire_one
#cgo noescape rb_ask
#cgo nocallback rb_ask
#cgo noescape reqbus_wait_free
#cgo nocallback reqbus_wait_free
*/
import "C"

import (
	"context"
	"runtime"
	"unsafe"
)

// out is what a call about slots came to.
type out struct{ c C.rb_out }

// Acquire takes a slot of key, and waits its turn if there is none free: 30 s at most and behind at most 20 others unless
// the options say otherwise. ctx governs the wait only; see [Slot.ReleaseOnDone]. A ctx that is done asks for nothing.
//
// Without a slot the error says how it ended ([ErrNoRoom], [ErrQueueFull], [ErrTimedOut], [ErrCancelled], [ErrClosed],
// [ErrStoreUnavailable], [ErrInvalid]), and carries the [Refusal]. After ctx ended it is ctx's own error too.
func (p *Pool) Acquire(ctx context.Context, key Key, limit Limit, options ...AcquireOption) (*Slot, error) {
	if p == nil {
		return nil, nobody()
	}
	if len(options) > 0 {
		return p.AcquireAll(ctx, []Ask{{key, limit}}, options...)
	}
	if ctx.Err() != nil {
		return nil, cancelledBy(ctx)
	}
	begun := C.rb_acquire_one(p.core.handle(), cstr(key.Scope), clen(key.Scope), cstr(key.ID), clen(key.ID), C.int64_t(limit))
	if begun.status == C.REQBUS_OK {
		slot := p.core.slotOf(begun.slot)
		runtime.KeepAlive(p)
		return slot, nil
	}
	o := out{C.rb_out{wait: begun.wait, error: begun.error}}
	return p.await(ctx, begun.status, &o, []Ask{{key, limit}}, nil)
}

// AcquireAll takes a slot of every key (1 to 8, of different scopes) or of none: a slot that is one to release. Keys are
// taken in the pool's order of scopes, and what was taken is held while the next is waited for.
func (p *Pool) AcquireAll(ctx context.Context, asks []Ask, options ...AcquireOption) (*Slot, error) {
	if p == nil {
		return nil, nobody()
	}
	if ctx.Err() != nil {
		return nil, cancelledBy(ctx)
	}
	how := waitOptions(options)
	var o out
	status := p.core.ask(C.RB_ACQUIRE, asks, &how, nil, &o)
	return p.await(ctx, status, &o, asks, how.OnPing)
}

// AcquireOnTop takes further keys on top of a slot that is held: each scope must come after all that it has, because two
// requests could wait for each other otherwise. The new slot is one of its own; [Slot.Join] makes them one.
func (p *Pool) AcquireOnTop(ctx context.Context, on *Slot, asks []Ask, options ...AcquireOption) (*Slot, error) {
	if p == nil {
		return nil, nobody()
	}
	if ctx.Err() != nil {
		return nil, cancelledBy(ctx)
	}
	how := waitOptions(options)
	var o out
	status, err := p.askOnTop(on, asks, &how, &o)
	if err != nil {
		return nil, err
	}
	if status == C.REQBUS_OK {
		status = C.REQBUS_TIMEOUT // the wait is made; look at it
	}
	return p.await(ctx, status, &o, asks, how.OnPing)
}

// TryAcquire takes a slot of every key or of none, in one step, and does not wait for room.
func (p *Pool) TryAcquire(asks []Ask, label string) (*Slot, error) {
	if p == nil {
		return nil, nobody()
	}
	defer runtime.KeepAlive(p)
	var o out
	status := p.core.ask(C.RB_TRY, asks, &WaitOptions{Label: label}, nil, &o)
	if status != C.REQBUS_OK {
		return nil, o.refused(status, asks)
	}
	return p.core.slotOf(o.c.slot), nil
}

// TryFirstOf takes the first of these keys that has room, the one with the lowest load rate first, of equal ones in the
// caller's order. It tells which of asks that is. A refusal is that of the least loaded key.
func (p *Pool) TryFirstOf(asks []Ask, label string) (which int, slot *Slot, err error) {
	if p == nil {
		return -1, nil, nobody()
	}
	defer runtime.KeepAlive(p)
	var o out
	status := p.core.ask(C.RB_FIRST_OF, asks, &WaitOptions{Label: label}, nil, &o)
	if status != C.REQBUS_OK {
		return -1, nil, o.refused(status, asks)
	}
	return int(o.c.which), p.core.slotOf(o.c.slot), nil
}

func waitOptions(options []AcquireOption) (how WaitOptions) {
	for _, option := range options {
		option.applyTo(&how)
	}
	return how
}

// ask is every call but the common one.
func (c *poolCore) ask(what C.int, asks []Ask, options *WaitOptions, on *C.reqbus_slot, o *out) C.reqbus_status {
	c.sweepIfDue()
	var texts packed
	limits := make([]C.int64_t, len(asks))
	for at, ask := range asks {
		texts.add(ask.Key.Scope)
		texts.add(ask.Key.ID)
		limits[at] = C.int64_t(ask.Limit)
	}
	how := options.native()
	return C.rb_ask(what, c.handle(), texts.text(), texts.sizes(), unsafe.SliceData(limits), C.size_t(len(asks)),
		cstr(options.Label), clen(options.Label), &how, on, &o.c)
}

func (p *Pool) askOnTop(on *Slot, asks []Ask, options *WaitOptions, o *out) (C.reqbus_status, error) {
	if on == nil {
		return 0, &Error{Kind: KindInvalidArgument, Context: "slot", Message: "the slot is nil"}
	}
	defer runtime.KeepAlive(on)
	h := on.holding()
	if !h.calls.enter() {
		// It holds nothing, so that this is a wait of its own.
		return p.core.ask(C.RB_WAIT, asks, options, nil, o), nil
	}
	defer on.block.leave(h)
	return p.core.ask(C.RB_ON_TOP, asks, options, h.native, o), nil
}

// await makes of what a call came to a slot or an error, and waits in between.
func (p *Pool) await(ctx context.Context, status C.reqbus_status, o *out, asks []Ask, onPing func() error) (*Slot, error) {
	defer runtime.KeepAlive(p)
	switch {
	case status == C.REQBUS_OK:
		return p.core.slotOf(o.c.slot), nil
	case status != C.REQBUS_TIMEOUT || o.c.wait == nil:
		return nil, o.refused(status, asks)
	}
	p.core.sweepIfDue()
	queued, err := p.core.queue(o.c.wait)
	if err != nil {
		C.reqbus_wait_free(&o.c.wait)
		return nil, err
	}
	defer queued.leave()
	for {
		step, slot, err := queued.next(ctx)
		switch step {
		case Granted:
			return slot, nil
		case PingDue:
			if onPing == nil {
				continue
			}
			if err := onPing(); err != nil {
				return nil, queued.giveUp(err)
			}
		case Ended:
			return nil, err
		case Nothing: // ctx is done
			return nil, queued.giveUp(context.Cause(ctx))
		}
	}
}
