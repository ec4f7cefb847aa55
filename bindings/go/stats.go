//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_consumer
#cgo nocallback rb_consumer
#cgo noescape rb_consumer_text
#cgo nocallback rb_consumer_text
#cgo noescape reqbus_bus_consumers
#cgo nocallback reqbus_bus_consumers
#cgo noescape reqbus_bus_get_stats
#cgo nocallback reqbus_bus_get_stats
#cgo noescape reqbus_consumers_free
#cgo nocallback reqbus_consumers_free
#cgo noescape reqbus_consumers_len
#cgo nocallback reqbus_consumers_len
*/
import "C"

import (
	"runtime"
	"time"
)

// ReadStats says what became of the events that matched a filter. Cumulative, never reset. At any quiet moment Matched is
// the sum of Delivered, the three losses, Pending and Abandoned.
type ReadStats struct {
	// Matched the filter since the subscription's start.
	Matched uint64
	// Delivered: placed in a batch.
	Delivered uint64
	// LostFull: the queue was full.
	LostFull uint64
	// LostWindow: the reader lagged by more than its window.
	LostWindow uint64
	// LostEvicted: the log let go of them.
	LostEvicted uint64
	// Pending: not read yet.
	Pending uint64
	// Abandoned: unread when the subscription was freed. Only in the sums of [BusStats].
	Abandoned uint64
	// Resyncs: how often a resume ended in a resync.
	Resyncs uint64
}

// Lost is the sum of the losses.
func (s ReadStats) Lost() uint64 { return s.LostFull + s.LostWindow + s.LostEvicted }

// BusStats is a bus in numbers.
type BusStats struct {
	// Newest is the newest event; its Seq is the number of events published.
	Newest ID
	// KeptEvents is what the log keeps, and KeptBytes what that takes.
	KeptEvents, KeptBytes uint64
	// Subscriptions are those not freed.
	Subscriptions uint64
	// ExtraClashes counts fields of Extra that were left out because a request event has one of that name.
	ExtraClashes uint64
	// Totals are the sums over all subscriptions, freed ones included.
	Totals ReadStats
}

// Stats tells the bus in numbers; zero of a nil bus.
func (b *Bus) Stats() BusStats {
	defer runtime.KeepAlive(b)
	s := C.reqbus_bus_stats{size: C.sizeof_reqbus_bus_stats}
	C.reqbus_bus_get_stats(b.native(), &s)
	return BusStats{
		Newest: idOf(s.newest), KeptEvents: uint64(s.kept_events), KeptBytes: uint64(s.kept_bytes),
		Subscriptions: uint64(s.subscriptions), ExtraClashes: uint64(s.extra_clashes),
		Totals: ReadStats{
			Matched: uint64(s.matched), Delivered: uint64(s.delivered), LostFull: uint64(s.lost_full),
			LostWindow: uint64(s.lost_window), LostEvicted: uint64(s.lost_evicted), Pending: uint64(s.pending),
			Abandoned: uint64(s.abandoned),
		},
	}
}

// Consumer is one subscription in a listing of who reads.
type Consumer struct {
	// ID is the subscription's number, unique on its bus.
	ID uint64
	// Label, Audience and PID are what its host said of it.
	Label, Audience string
	PID             int
	// Overflow, Capacity and CapacityBytes are how it is bounded.
	Overflow                Overflow
	Capacity, CapacityBytes uint64
	// Keys and Kinds are its filter.
	Keys, Kinds []string
	// Age is how long ago it began.
	Age time.Duration
	// Stats is how it fares.
	Stats ReadStats
	// Sleeping: a reader waits on it. Closed: it is closed, not freed yet.
	Sleeping, Closed bool
}

// Consumers lists who reads, oldest first.
func (b *Bus) Consumers() ([]Consumer, error) {
	defer runtime.KeepAlive(b)
	var list *C.reqbus_consumers
	var failed *C.reqbus_error
	if status := C.reqbus_bus_consumers(b.native(), &list, &failed); status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	defer C.reqbus_consumers_free(&list)
	all := make([]Consumer, int(C.reqbus_consumers_len(list)))
	for at := range all {
		var c C.reqbus_consumer
		C.rb_consumer(list, C.size_t(at), &c)
		all[at] = Consumer{
			ID: uint64(c.id), Label: goText(c.label, c.label_len), Audience: goText(c.audience, c.audience_len),
			PID: int(c.pid), Overflow: Overflow(c.overflow), Capacity: uint64(c.capacity),
			CapacityBytes: uint64(c.capacity_bytes), Age: nanos(c.age_ns), Sleeping: c.sleeping == 1, Closed: c.closed == 1,
			Stats: ReadStats{
				Matched: uint64(c.matched), Delivered: uint64(c.delivered), LostFull: uint64(c.lost_full),
				LostWindow: uint64(c.lost_window), LostEvicted: uint64(c.lost_evicted), Pending: uint64(c.pending),
				Resyncs: uint64(c.resyncs),
			},
		}
		for key := range int(c.keys_count) {
			var text C.reqbus_text
			C.rb_consumer_text(list, C.size_t(at), C.size_t(key), 0, &text)
			all[at].Keys = append(all[at].Keys, goText(text.ptr, text.len))
		}
		for kind := range int(c.kinds_count) {
			var text C.reqbus_text
			C.rb_consumer_text(list, C.size_t(at), C.size_t(kind), 1, &text)
			all[at].Kinds = append(all[at].Kinds, goText(text.ptr, text.len))
		}
	}
	return all, nil
}
