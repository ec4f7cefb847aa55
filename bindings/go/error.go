//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape reqbus_status_name
#cgo nocallback reqbus_status_name
*/
import "C"

import (
	"errors"
	"strings"
)

// Kind says how a call ended that did not do what was asked. Kinds are errors, for errors.Is. The numbers are those of
// the C ABI, come in ranges and are never reused.
type Kind int32

// The kinds of a call that ended without doing anything wrong.
const (
	KindTimeout      Kind = C.REQBUS_TIMEOUT
	KindInterrupted  Kind = C.REQBUS_INTERRUPTED
	KindClosed       Kind = C.REQBUS_CLOSED
	KindBusy         Kind = C.REQBUS_BUSY
	KindAudienceBusy Kind = C.REQBUS_AUDIENCE_BUSY
	KindSlotBusy     Kind = C.REQBUS_SLOT_BUSY
	KindQueueFull    Kind = C.REQBUS_SLOT_QUEUE_FULL
	KindTimedOut     Kind = C.REQBUS_SLOT_TIMED_OUT
	KindCancelled    Kind = C.REQBUS_SLOT_CANCELLED
	KindSlotClosed   Kind = C.REQBUS_SLOT_CLOSED
)

// The kinds of a call whose argument, or whose moment, was wrong, or that the system refused.
const (
	KindInvalidArgument  Kind = C.REQBUS_INVALID_ARGUMENT
	KindInvalidUTF8      Kind = C.REQBUS_INVALID_UTF8
	KindInvalidJSON      Kind = C.REQBUS_INVALID_JSON
	KindTooLarge         Kind = C.REQBUS_TOO_LARGE
	KindReservedKind     Kind = C.REQBUS_RESERVED_KIND
	KindTooManySources   Kind = C.REQBUS_TOO_MANY_SOURCES
	KindMalformedID      Kind = C.REQBUS_MALFORMED_ID
	KindForked           Kind = C.REQBUS_FORKED
	KindNotSoleMember    Kind = C.REQBUS_NOT_SOLE_MEMBER
	KindSystem           Kind = C.REQBUS_SYSTEM
	KindStoreUnavailable Kind = C.REQBUS_STORE_UNAVAILABLE
	KindPanicked         Kind = C.REQBUS_PANICKED
)

// Name is the kind in snake case, for logs; the same words in every language.
func (k Kind) Name() string { return C.GoString(C.reqbus_status_name(C.int32_t(k))) }

// Error makes a kind an error, for errors.Is.
func (k Kind) Error() string { return "reqbus: " + strings.ReplaceAll(k.Name(), "_", " ") }

// What errors.Is is asked for. Each is a [Kind], and matches any [*Error] of it.
var (
	// ErrClosed: the bus, subscription, key or pool is closed, and of a reader: everything has been read.
	ErrClosed error = KindClosed
	// ErrBusy: another goroutine waits on this subscription or wait.
	ErrBusy error = KindBusy
	// ErrAudienceBusy: the audience was being cleaned up for as long as the caller would wait.
	ErrAudienceBusy error = KindAudienceBusy
	// ErrNoRoom: no slot is free, and the caller would not wait.
	ErrNoRoom error = KindSlotBusy
	// ErrQueueFull: no slot is free, and as many as may wait do.
	ErrQueueFull error = KindQueueFull
	// ErrTimedOut: the time that the wait was given has passed.
	ErrTimedOut error = KindTimedOut
	// ErrCancelled: the wait was cancelled. The context's own error is found too.
	ErrCancelled error = KindCancelled
	// ErrInvalid: the call is wrong. Matches every kind of wrong argument.
	ErrInvalid error = KindInvalidArgument
	// ErrStoreUnavailable: the store of a pool cannot be reached, or did not answer.
	ErrStoreUnavailable error = KindStoreUnavailable
	// ErrTooLarge: something is longer than its limit. The sentence names both.
	ErrTooLarge error = KindTooLarge
	// ErrMalformedID: the text is no event id.
	ErrMalformedID error = KindMalformedID
	// ErrForked: the object was made in the parent of a forked process.
	ErrForked error = KindForked
)

// Error is what every failing call of this package returns.
type Error struct {
	// Kind says what sort of failure it is.
	Kind Kind
	// Message is a sentence for people. It never holds a value that may be a secret.
	Message string
	// Context is what it is about: the name of a field or of an operation.
	Context string
	// Refusal says how the key stood that refused; nil unless a slot was asked for.
	Refusal *Refusal

	cause error
}

// Error is the sentence.
func (e *Error) Error() string {
	text := e.Kind.Error()
	if e.Refusal != nil && e.Refusal.Scope != "" {
		text += " (" + e.Refusal.Scope + ")"
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap gives the host's own error that a wait was cancelled with, or a context's.
func (e *Error) Unwrap() error { return e.cause }

// Is compares kinds. A wrong argument of any kind is [ErrInvalid]; a closed key or pool is [ErrClosed].
func (e *Error) Is(target error) bool {
	var kind Kind
	if !errors.As(target, &kind) {
		return false
	}
	switch {
	case e.Kind == kind:
		return true
	case kind == KindInvalidArgument:
		return e.Kind >= 100 && e.Kind < 200
	case kind == KindClosed:
		return e.Kind == KindSlotClosed
	}
	return false
}

func closed(what string) error { return &Error{Kind: KindClosed, Context: what} }
