//go:build cgo

package reqbus

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"time"
	"unsafe"
)

// Outcome says how a request for a slot ended without one: a closed set.
type Outcome uint32

// How a request for a slot ended without one.
const (
	// OutcomeBusy: no room, and the caller would not wait.
	OutcomeBusy Outcome = C.REQBUS_OUTCOME_BUSY
	// OutcomeQueueFull: no room, and as many as may wait do.
	OutcomeQueueFull Outcome = C.REQBUS_OUTCOME_QUEUE_FULL
	// OutcomeTimedOut: the wait's time has passed.
	OutcomeTimedOut Outcome = C.REQBUS_OUTCOME_TIMED_OUT
	// OutcomeCancelled: the wait was cancelled.
	OutcomeCancelled Outcome = C.REQBUS_OUTCOME_CANCELLED
	// OutcomeClosed: the key or the pool was closed.
	OutcomeClosed Outcome = C.REQBUS_OUTCOME_CLOSED
	// OutcomeStoreUnavailable: the store could not answer.
	OutcomeStoreUnavailable Outcome = C.REQBUS_OUTCOME_STORE_UNAVAILABLE
	// OutcomeInvalid: the call is wrong.
	OutcomeInvalid Outcome = C.REQBUS_OUTCOME_INVALID
)

// String is the outcome in snake case, the same words in every language.
func (o Outcome) String() string {
	names := [...]string{"none", "busy", "queue_full", "timed_out", "cancelled", "closed", "store_unavailable", "invalid"}
	if int(o) < len(names) {
		return names[o]
	}
	return "unknown"
}

// Refusal says why there is no slot, and how the key that refused stood at that moment. [*Error] carries it.
type Refusal struct {
	// Outcome is how the call ended.
	Outcome Outcome
	// Scope of the key that refused, or that was waited for; of several the first.
	Scope string
	// Limit of the key; [NotGiven] if it is not known.
	Limit Limit
	// InUse counts its slots in use, those on offer included.
	InUse int
	// Waiting counts its waiters, this one not included.
	Waiting int
	// Position is where the caller stood in the queue, from 1; 0 if it did not stand there.
	Position int
	// Waited is how long the caller waited, over all keys of the call.
	Waited time.Duration
	// Pings that the host was asked to write, and came back from.
	Pings int
	// RetryAfter is when to try again; 0 if nothing can be said.
	RetryAfter time.Duration
}

// RefusalOf finds the refusal in an error; nil if there is none.
func RefusalOf(err error) *Refusal {
	var failed *Error
	if errors.As(err, &failed) {
		return failed.Refusal
	}
	return nil
}

// takeRefusal makes an error of what a call came to that gave no slot, and frees that.
func (o *out) takeRefusal(status C.reqbus_status, cause error) error {
	err := takeError(status, o.c.error)
	o.c.error = nil
	failed, _ := err.(*Error)
	if failed == nil {
		return err
	}
	if native := o.c.refusal; native != nil {
		failed.Refusal = &Refusal{
			Outcome: Outcome(native.outcome), Limit: Limit(native.limit), InUse: int(native.in_use),
			Scope:   goText(&native.scope[0], native.scope_len),
			Waiting: int(native.waiting), Position: int(native.position), Waited: nanos(native.waited_ns),
			Pings: int(native.pings), RetryAfter: time.Duration(native.retry_after_s) * time.Second,
		}
		C.free(unsafe.Pointer(native))
		o.c.refusal = nil
	}
	failed.cause = cause
	return failed
}

// refused is takeRefusal for a call that may have been wrong: the library says what, and here is said of which scope.
func (o *out) refused(status C.reqbus_status, asks []Ask) error {
	err := o.takeRefusal(status, nil)
	if failed, ok := err.(*Error); ok && failed.Refusal == nil && failed.Kind >= 100 && failed.Kind < 200 {
		failed.Refusal = &Refusal{Outcome: OutcomeInvalid, Limit: NotGiven}
		for _, ask := range asks {
			if failed.Context == "limit" && !ask.Limit.isValid() {
				failed.Refusal.Scope = ask.Key.Scope
				break
			}
		}
	}
	return err
}

// cancelledBy is the error of a call whose context was done before it asked.
func cancelledBy(ctx context.Context) error {
	return &Error{
		Kind: KindCancelled, Context: "context", cause: context.Cause(ctx), Refusal: &Refusal{Outcome: OutcomeCancelled, Limit: NotGiven},
	}
}
