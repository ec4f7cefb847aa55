//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_key_stats
#cgo nocallback rb_key_stats
#cgo noescape reqbus_pool_known_keys
#cgo nocallback reqbus_pool_known_keys
#cgo noescape reqbus_pool_scope_stats
#cgo nocallback reqbus_pool_scope_stats
*/
import "C"

import (
	"runtime"
	"time"
)

// SlotStats is what was counted for a key, or for all keys of a scope. Never reset. Percentiles are of waits in the queue
// that ended with a slot, and at most an eighth above the true value.
type SlotStats struct {
	// Granted counts slots given; GrantedAfterWait those of them from the queue.
	Granted, GrantedAfterWait uint64
	// How calls ended without one.
	Busy, QueueFull, TimedOut, Cancelled, Closed, StoreUnavailable uint64
	// Lost and Leaked count slots; LapsedOffers those that nobody took in time.
	Lost, Leaked, LapsedOffers uint64
	// LimitChanges: two callers that disagree show here.
	LimitChanges uint64
	// Waits is how many waits the percentiles are of.
	Waits                              uint64
	WaitP50, WaitP90, WaitP99, WaitMax time.Duration
	// MeanHold is the moving average of holds, of a key; 0 until 8 slots have been released.
	MeanHold time.Duration
	// Peak is the most slots in use at once, of a key.
	Peak int
}

func slotStats(n *C.reqbus_slot_stats) SlotStats {
	return SlotStats{
		Granted: uint64(n.granted), GrantedAfterWait: uint64(n.granted_after_wait), Busy: uint64(n.busy),
		QueueFull: uint64(n.queue_full), TimedOut: uint64(n.timed_out), Cancelled: uint64(n.cancelled),
		Closed: uint64(n.closed), StoreUnavailable: uint64(n.store_unavailable), Lost: uint64(n.lost),
		Leaked: uint64(n.leaked), LapsedOffers: uint64(n.lapsed_offers), LimitChanges: uint64(n.limit_changes),
		Waits: uint64(n.waits), WaitP50: nanos(n.wait_p50_ns), WaitP90: nanos(n.wait_p90_ns), WaitP99: nanos(n.wait_p99_ns),
		WaitMax: nanos(n.wait_max_ns), MeanHold: nanos(n.mean_hold_ns), Peak: int(n.peak),
	}
}

// KeyStats tells what was counted for a key; false if the pool does not know it (any more).
func (p *Pool) KeyStats(key Key) (SlotStats, bool) {
	if p == nil {
		return SlotStats{}, false
	}
	defer runtime.KeepAlive(p)
	var n C.reqbus_slot_stats
	status := C.rb_key_stats(p.core.handle(), cstr(key.Scope), clen(key.Scope), cstr(key.ID), clen(key.ID), &n)
	return slotStats(&n), status == C.REQBUS_OK && n.known == 1
}

// ScopeStats is the sum over the keys of a scope, those that were forgotten included.
func (p *Pool) ScopeStats(scope string) SlotStats {
	if p == nil {
		return SlotStats{}
	}
	defer runtime.KeepAlive(p)
	n := C.reqbus_slot_stats{size: C.sizeof_reqbus_slot_stats}
	C.reqbus_pool_scope_stats(p.core.handle(), cstr(scope), clen(scope), &n)
	return slotStats(&n)
}

// KnownKeys is how many keys the pool knows: those in use, those with something set on them, and the latest 4,096 idle
// ones, none idle for longer than 5 minutes.
func (p *Pool) KnownKeys() int {
	if p == nil {
		return 0
	}
	defer runtime.KeepAlive(p)
	var count C.size_t
	C.reqbus_pool_known_keys(p.core.handle(), &count)
	return int(count)
}
