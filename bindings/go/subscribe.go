//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_join
#cgo nocallback rb_join
#cgo noescape reqbus_join_finish
#cgo nocallback reqbus_join_finish
#cgo noescape reqbus_join_free
#cgo nocallback reqbus_join_free
*/
import "C"

import (
	"context"
	"runtime"
	"time"
)

// Start says where a subscription begins.
type Start uint32

// Where a subscription begins.
const (
	// Live: after the newest event.
	Live Start = C.REQBUS_START_LIVE
	// Oldest: at the oldest event that a resume could still get.
	Oldest Start = C.REQBUS_START_OLDEST
	// After: after the event that [SubscribeOptions.After] names. What is no id, or cannot be resumed from, is answered
	// with a [Resync], never with an error.
	After Start = C.REQBUS_START_AFTER
)

// Overflow says what happens when a reader is slow. It is always told exactly what it missed.
type Overflow uint32

// What happens when a reader is slow.
const (
	// DropNewest: a queue of its own; when it is full, the newest event is lost.
	DropNewest Overflow = C.REQBUS_OVERFLOW_DROP_NEWEST
	// DropOldest: the newest matching events of the log; when there are more, the oldest is lost.
	DropOldest Overflow = C.REQBUS_OVERFLOW_DROP_OLDEST
	// CatchUp: the whole log; what the log lets go of is lost.
	CatchUp Overflow = C.REQBUS_OVERFLOW_CATCH_UP
)

func (o Overflow) String() string {
	switch o {
	case DropNewest:
		return "drop_newest"
	case DropOldest:
		return "drop_oldest"
	case CatchUp:
		return "catch_up"
	}
	return "unknown"
}

// SubscribeOptions says how a subscription is made. Zero is every default.
type SubscribeOptions struct {
	// Start is where it begins; Live by default.
	Start Start
	// After is the text of an id, as it came from outside, for Start: After.
	After string
	// Overflow is what happens when the reader is slow; DropNewest by default.
	Overflow Overflow
	// Keys and Kinds are the filter; none matches all.
	Keys, Kinds []string
	// Capacity is how many events the queue (DropNewest, default 64) or the window (DropOldest, default 256) holds.
	Capacity int
	// CapacityBytes bounds the queue of DropNewest; default 1 MiB.
	CapacityBytes int
	// Label is a name for listings.
	Label string
	// Audience is shared by subscriptions for whose first something outside is set up, and torn down after the last.
	Audience string
	// AudienceWait is the longest wait while the audience is being cleaned up; default 5 s, less than 0 does not wait.
	AudienceWait time.Duration
	// Linger is how long a reader that was woken lets a burst gather before it reads.
	Linger time.Duration
	// PID is a process id for listings.
	PID int
}

// Subscribe begins to read. It waits only while the audience is being cleaned up: then until ctx ends (with its error), or
// for AudienceWait ([ErrAudienceBusy]); nothing is joined then.
//
// Close it; a subscription that is collected without that is closed too.
func (b *Bus) Subscribe(ctx context.Context, options SubscribeOptions) (*Subscription, error) {
	if b == nil {
		return nil, &Error{Kind: KindInvalidArgument, Context: "bus", Message: "the bus is nil"}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer runtime.KeepAlive(b)
	how, texts, err := options.native()
	if err != nil {
		return nil, err
	}
	var join *C.reqbus_join
	var sub *C.reqbus_subscription
	var failed *C.reqbus_error
	var native *C.reqbus_bell
	var token uint64
	var w *waker
	if options.Audience != "" {
		bell, err := b.core.bell.get()
		if err != nil {
			return nil, err
		}
		w = newWaker()
		native, token = bell.native, bell.add(w)
		defer bell.release()
		defer bell.remove(token)
	}
	status := C.rb_join(b.core.handle(), &how, texts.text(), texts.sizes(), native, C.uint64_t(token), &join, &sub, &failed)
	if status == C.REQBUS_TIMEOUT {
		defer C.reqbus_join_free(&join)
		for status == C.REQBUS_TIMEOUT {
			select {
			case <-w.ch:
				status = C.reqbus_join_finish(join, &sub, &failed)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	if status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	return subscriptionOf(sub, b.core, options.Linger), nil
}

func (o *SubscribeOptions) native() (how C.rb_subscribe, texts packed, err error) {
	if o.Capacity < 0 || o.CapacityBytes < 0 || o.Linger < 0 || o.PID < 0 {
		return how, texts, &Error{Kind: KindInvalidArgument, Context: "options", Message: "a number is negative"}
	}
	how = C.rb_subscribe{
		keys: C.size_t(len(o.Keys)), kinds: C.size_t(len(o.Kinds)),
		capacity: C.size_t(o.Capacity), capacity_bytes: C.size_t(o.CapacityBytes),
		start: C.uint32_t(o.Start), overflow: C.uint32_t(o.Overflow), pid: C.uint32_t(o.PID),
	}
	if o.AudienceWait < 0 {
		how.flags = C.REQBUS_SUBSCRIBE_NO_WAIT
	} else {
		how.audience_wait_ms = C.uint64_t(milliseconds(o.AudienceWait))
	}
	texts.add(o.After)
	texts.add(o.Label)
	texts.add(o.Audience)
	for _, key := range o.Keys {
		texts.add(key)
	}
	for _, kind := range o.Kinds {
		texts.add(kind)
	}
	return how, texts, nil
}
