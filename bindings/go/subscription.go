//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_attach
#cgo nocallback rb_attach
#cgo noescape reqbus_subscription_close
#cgo nocallback reqbus_subscription_close
#cgo noescape reqbus_subscription_free
#cgo nocallback reqbus_subscription_free
#cgo noescape reqbus_subscription_get_stats
#cgo nocallback reqbus_subscription_get_stats
#cgo noescape reqbus_subscription_heartbeat
#cgo nocallback reqbus_subscription_heartbeat
#cgo noescape reqbus_subscription_id
#cgo nocallback reqbus_subscription_id
#cgo noescape reqbus_subscription_is_first
#cgo nocallback reqbus_subscription_is_first
#cgo noescape reqbus_subscription_settled
#cgo nocallback reqbus_subscription_settled
*/
import "C"

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Subscription is a position in the order of a bus, with a filter and an overflow policy.
type Subscription struct {
	core *subscriptionCore

	mu   sync.Mutex
	kept []Item // of an iterator that stopped midway
	err  error
}

// subscriptionCore is what a subscription leaves behind for its clean-up.
type subscriptionCore struct {
	calls   calls
	native  *C.reqbus_subscription
	bus     *busCore
	linger  time.Duration
	waiting atomic.Bool
	id      uint64
	isFirst bool
	// wasLast is kept of the close: 1 yes, 0 no, -1 no audience or not closed yet.
	wasLast atomic.Int32
	final   atomic.Pointer[ReadStats]

	attach sync.Mutex
	waker  *waker
	bell   atomic.Pointer[bell]
	token  uint64
}

func subscriptionOf(native *C.reqbus_subscription, bus *busCore, linger time.Duration) *Subscription {
	core := &subscriptionCore{native: native, bus: bus, linger: linger, waker: newWaker()}
	core.wasLast.Store(-1)
	var id C.uint64_t
	var isFirst C.int32_t
	C.reqbus_subscription_id(native, &id)
	C.reqbus_subscription_is_first(native, &isFirst)
	core.id, core.isFirst = uint64(id), yes(isFirst)
	sub := &Subscription{core: core}
	runtime.AddCleanup(sub, (*subscriptionCore).end, core)
	return sub
}

// end frees what there is, once.
func (c *subscriptionCore) end() {
	if c.calls.enter() {
		stats := c.stats()
		c.final.CompareAndSwap(nil, &stats)
		c.leave()
	}
	if first, free := c.calls.end(); first {
		c.waker.wake()
		if free {
			c.free()
		}
	}
}

func (c *subscriptionCore) leave() {
	if c.calls.leave() {
		c.free()
	}
}

func (c *subscriptionCore) free() {
	C.reqbus_subscription_free(&c.native)
	c.attach.Lock()
	defer c.attach.Unlock()
	if b := c.bell.Swap(nil); b != nil {
		b.remove(c.token)
		b.release()
	}
}

// wakeUp makes sure that the waker is woken when there is something to read. Within a call.
func (c *subscriptionCore) wakeUp() error {
	if c.bell.Load() != nil {
		return nil
	}
	c.attach.Lock()
	defer c.attach.Unlock()
	if c.bell.Load() != nil {
		return nil
	}
	b, err := c.bus.bell.get()
	if err != nil {
		return err
	}
	c.token = b.add(c.waker)
	c.bell.Store(b)
	var tokens C.rb_tokens
	C.rb_attach(c.native, b.native, C.uint64_t(c.token), &tokens)
	b.wakeAll(&tokens)
	return nil
}

// Stop ends the subscription for the bus: it gets no further events, and its membership of its audience ends. What it has
// is still read, and then [ErrClosed]. Idempotent.
func (s *Subscription) Stop() { s.core.stop(); runtime.KeepAlive(s) }

func (c *subscriptionCore) stop() {
	if !c.calls.enter() {
		return
	}
	defer c.leave()
	var wasLast C.int32_t
	C.reqbus_subscription_close(c.native, &wasLast)
	if wasLast >= 0 {
		c.wasLast.Store(int32(wasLast))
	}
}

// Close ends the subscription and frees it: what was not read is given up, and a reader that sleeps gets [ErrClosed].
// Idempotent.
func (s *Subscription) Close() error {
	if s == nil {
		return nil
	}
	s.core.stop()
	s.core.end()
	runtime.KeepAlive(s)
	return nil
}

// WasLast says, after Stop or Close, whether it was the last of its audience, so that its host must tear down what that
// needed.
func (s *Subscription) WasLast() bool { return s.core.wasLast.Load() == 1 }

// IsFirst says whether it was the first of its audience when it joined, so that its host must set up what that needs.
func (s *Subscription) IsFirst() bool { return s.core.isFirst }

// ID is its number, the one in listings: unique on its bus, from 1.
func (s *Subscription) ID() uint64 { return s.core.id }

// Stats says what became of the events that matched; after Close, what had become of them.
func (s *Subscription) Stats() ReadStats {
	defer runtime.KeepAlive(s)
	if !s.core.calls.enter() {
		if final := s.core.final.Load(); final != nil {
			return *final
		}
		return ReadStats{}
	}
	defer s.core.leave()
	return s.core.stats()
}

func (c *subscriptionCore) stats() ReadStats {
	n := C.reqbus_subscription_stats{size: C.sizeof_reqbus_subscription_stats}
	C.reqbus_subscription_get_stats(c.native, &n)
	return ReadStats{
		Matched: uint64(n.matched), Delivered: uint64(n.delivered), LostFull: uint64(n.lost_full),
		LostWindow: uint64(n.lost_window), LostEvicted: uint64(n.lost_evicted), Pending: uint64(n.pending),
		Resyncs: uint64(n.resyncs),
	}
}

// Settled is the largest event up to which every one was delivered to, filtered out for, or reported lost to this
// subscription: where a resume loses nothing. Zero after Close.
func (s *Subscription) Settled() ID {
	defer runtime.KeepAlive(s)
	if !s.core.calls.enter() {
		return ID{}
	}
	defer s.core.leave()
	var id C.reqbus_id
	C.reqbus_subscription_settled(s.core.native, &id)
	return idOf(id)
}

// Heartbeat is a text that carries the settled id: what to write to a client that has heard nothing for a while. Empty
// after Close.
func (s *Subscription) Heartbeat(form Form) string {
	defer runtime.KeepAlive(s)
	if !s.core.calls.enter() {
		return ""
	}
	defer s.core.leave()
	var text [128]byte
	var n C.size_t
	C.reqbus_subscription_heartbeat(s.core.native, C.uint32_t(form), (*C.char)(unsafe.Pointer(&text[0])), 128, &n)
	return string(text[:n])
}
