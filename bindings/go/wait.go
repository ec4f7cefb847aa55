//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_wait_attach
#cgo nocallback rb_wait_attach
#cgo noescape rb_wait_end
#cgo nocallback rb_wait_end
#cgo noescape rb_wait_next
#cgo nocallback rb_wait_next
#cgo noescape reqbus_wait_cancel
#cgo nocallback reqbus_wait_cancel
#cgo noescape reqbus_wait_free
#cgo nocallback reqbus_wait_free
#cgo noescape reqbus_wait_position
#cgo nocallback reqbus_wait_position
*/
import "C"

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
)

// Step is what a look at a wait found.
type Step int

// What a look at a wait found.
const (
	// Nothing is new.
	Nothing Step = iota
	// PingDue: write a ping to the client, then look again; the next is due a whole interval after that.
	PingDue
	// Granted: there is the slot.
	Granted
	// Ended: there will be no slot; the error says why.
	Ended
)

func (s Step) String() string { return [...]string{"nothing", "ping", "granted", "ended"}[s] }

// queued is a native wait under a bell.
type queued struct {
	calls   calls
	native  *C.reqbus_wait
	pool    *poolCore
	bell    *bell
	token   uint64
	waker   *waker
	waiting atomic.Bool
	// cause is the host's own reason for a cancel.
	cause atomic.Pointer[error]
}

// queue attaches a wait to the pool's bell.
func (c *poolCore) queue(native *C.reqbus_wait) (*queued, error) {
	b, err := c.bell.get()
	if err != nil {
		return nil, err
	}
	q := &queued{native: native, pool: c, bell: b, waker: newWaker()}
	q.token = b.add(q.waker)
	c.waiting.Add(1)
	c.watch()
	var tokens C.rb_tokens
	C.rb_wait_attach(native, b.native, C.uint64_t(q.token), &tokens)
	q.pass(&tokens)
	return q, nil
}

// pass wakes those whose tokens came along with our own.
func (q *queued) pass(tokens *C.rb_tokens) {
	for _, token := range tokens.token[:tokens.count] {
		if uint64(token) != q.token {
			q.bell.wake(uint64(token))
		}
	}
}

// try looks without waiting.
func (q *queued) try() (Step, *Slot, error) {
	collect()
	if !q.calls.enter() {
		return Ended, nil, &Error{Kind: KindCancelled, Context: "wait", Message: "the wait was closed"}
	}
	defer q.done()
	var o out
	switch status := C.rb_wait_next(q.native, &o.c); status {
	case C.REQBUS_OK:
		return Granted, q.pool.slotOf(o.c.slot), nil
	case C.REQBUS_PING_DUE:
		q.pool.sweepIfDue()
		return PingDue, nil, nil
	case C.REQBUS_TIMEOUT:
		return Nothing, nil, nil
	default:
		var cause error
		if given := q.cause.Load(); given != nil && status == C.REQBUS_SLOT_CANCELLED {
			cause = *given
		}
		return Ended, nil, o.takeRefusal(status, cause)
	}
}

// next looks, and sleeps until there is something; Nothing and ctx's error if that is done first.
func (q *queued) next(ctx context.Context) (Step, *Slot, error) {
	if !q.waiting.CompareAndSwap(false, true) {
		return Nothing, nil, &Error{Kind: KindBusy, Context: "wait", Message: "another goroutine waits on it; one at a time"}
	}
	defer q.waiting.Store(false)
	for {
		if step, slot, err := q.try(); step != Nothing {
			return step, slot, err
		}
		select {
		case <-q.waker.ch:
		case <-ctx.Done():
			return Nothing, nil, ctx.Err()
		}
	}
}

// cancel gives up for the host's reason; what it had goes to the next.
func (q *queued) cancel(cause error) {
	if !q.calls.enter() {
		return
	}
	q.cause.CompareAndSwap(nil, &cause)
	text := ""
	if cause != nil {
		text = cause.Error()
		text = strings.ToValidUTF8(text[:min(len(text), 255)], "")
	}
	C.reqbus_wait_cancel(q.native, cstr(text), clen(text))
	q.done()
	q.pool.look()
}

// giveUp cancels, and says what came of it.
func (q *queued) giveUp(cause error) error {
	q.cancel(cause)
	step, slot, err := q.try()
	if step == Granted {
		slot.Release() // not after a cancel; but never keep what nobody gets
	}
	return err
}

func (q *queued) done() {
	if q.calls.leave() {
		q.free()
	}
}

// leave frees the wait; what it had goes to the next.
func (q *queued) leave() {
	if first, free := q.calls.end(); first {
		q.waker.wake()
		if free {
			q.free()
		}
	}
}

func (q *queued) free() {
	var tokens C.rb_tokens
	C.rb_wait_end(q.native, q.bell.native, &tokens)
	q.pool.waiting.Add(-1)
	q.pass(&tokens)
	q.bell.remove(q.token)
	q.bell.release()
}

// Wait is a place in the queue of a key, looked at step by step: for hosts that write pings themselves. [Pool.Acquire] is
// for all others.
//
// An owner that does not look for 3 s after a slot was kept for it loses that to the next in line and keeps its place.
type Wait struct{ queued *queued }

// Wait begins to wait for a slot of every key; it has its place in the queue when this returns. Options as of
// [Pool.Acquire], but for OnPing: a ping is told by the look. Close it.
func (p *Pool) Wait(asks []Ask, options ...AcquireOption) (*Wait, error) {
	if p == nil {
		return nil, nobody()
	}
	defer runtime.KeepAlive(p)
	how := waitOptions(options)
	var o out
	return p.begun(p.core.ask(C.RB_WAIT, asks, &how, nil, &o), &o, asks)
}

// WaitOnTop is Wait for further keys on top of a slot, as [Pool.AcquireOnTop].
func (p *Pool) WaitOnTop(on *Slot, asks []Ask, options ...AcquireOption) (*Wait, error) {
	if p == nil {
		return nil, nobody()
	}
	defer runtime.KeepAlive(p)
	how := waitOptions(options)
	var o out
	status, err := p.askOnTop(on, asks, &how, &o)
	if err != nil {
		return nil, err
	}
	return p.begun(status, &o, asks)
}

func (p *Pool) begun(status C.reqbus_status, o *out, asks []Ask) (*Wait, error) {
	if status != C.REQBUS_OK {
		return nil, o.refused(status, asks)
	}
	q, err := p.core.queue(o.c.wait)
	if err != nil {
		C.reqbus_wait_free(&o.c.wait)
		return nil, err
	}
	wait := &Wait{q}
	runtime.AddCleanup(wait, (*queued).leave, q)
	return wait, nil
}

// Try looks, and does not wait.
func (w *Wait) Try() (Step, *Slot, error) {
	defer runtime.KeepAlive(w)
	return w.queued.try()
}

// Next looks, and waits until there is something new. After ctx ended it says Nothing and ctx's error; the wait goes on.
func (w *Wait) Next(ctx context.Context) (Step, *Slot, error) {
	defer runtime.KeepAlive(w)
	if err := ctx.Err(); err != nil {
		return Nothing, nil, err
	}
	return w.queued.next(ctx)
}

// Position is where the wait stood, from 1, when it joined the queue that it waits in; 0 if it waits in none.
func (w *Wait) Position() int {
	defer runtime.KeepAlive(w)
	if !w.queued.calls.enter() {
		return 0
	}
	defer w.queued.done()
	var position C.uint32_t
	C.reqbus_wait_position(w.queued.native, &position)
	return int(position)
}

// Cancel gives up: the wait ends as cancelled, with the host's reason (which may be nil), and what it had is given back.
// Nothing happens if it is over.
func (w *Wait) Cancel(cause error) {
	defer runtime.KeepAlive(w)
	w.queued.cancel(cause)
}

// Close frees the wait, and cancels it before that if it is not over. Idempotent.
func (w *Wait) Close() error {
	if w != nil {
		w.queued.leave()
		runtime.KeepAlive(w)
	}
	return nil
}
