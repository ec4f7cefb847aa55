//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_teller_new
#cgo nocallback rb_teller_new
#cgo noescape reqbus_teller_failed
#cgo nocallback reqbus_teller_failed
#cgo noescape reqbus_teller_free
#cgo nocallback reqbus_teller_free
*/
import "C"

import "runtime"

// The kinds of events that a [Teller] can tell. Each is a JSON object.
const (
	// TellWaitBegun: a request waits for a slot. Fields keys, label, position.
	TellWaitBegun = "slot.wait_begun"
	// TellGranted: it got one, at once or after a wait. Fields keys, label, waited_ms, pings.
	TellGranted = "slot.granted"
	// TellRefused: it got none. The fields of a [Refusal], id and label.
	TellRefused = "slot.refused"
	// TellLost: a slot was lost. Fields scope, id, label, holder, held_ms, reason.
	TellLost = "slot.lost"
	// TellHeldLong: a slot has been held for longer than [PoolOptions.HeldLong]. Fields scope, id, label, holder, held_ms.
	TellHeldLong = "slot.held_long"
	// TellCheckFinished: a check of a runner ended. Fields id, verdict, took_ms, was_stuck.
	TellCheckFinished = "check.finished"
)

// TellerOptions says what a teller tells.
type TellerOptions struct {
	// Kinds are those that it tells: [TellGranted] and so on. None by default.
	Kinds []string
	// SecretScopes are scopes whose ids are secrets, and are told to nobody. By default "api_key" alone.
	SecretScopes []string
	// NoSecrets: no scope is secret.
	NoSecrets bool
}

// Teller tells on a bus what happens in the pools and runners that are made with it ([PoolOptions.Teller],
// [RunnerOptions.Teller]), as events of their own kinds. An event's key is the id of what it is about.
//
// It lives as long as they do.
type Teller struct{ core *tellerCore }

type tellerCore struct{ native *C.reqbus_teller }

func (c *tellerCore) free() { C.reqbus_teller_free(&c.native) }

// NewTeller makes a teller on a bus.
func NewTeller(bus *Bus, options TellerOptions) (*Teller, error) {
	defer runtime.KeepAlive(bus)
	var texts packed
	for _, kind := range options.Kinds {
		texts.add(kind)
	}
	for _, scope := range options.SecretScopes {
		texts.add(scope)
	}
	how := C.rb_teller_how{kinds: C.size_t(len(options.Kinds)), secrets: C.size_t(len(options.SecretScopes))}
	if options.NoSecrets {
		how.flags |= C.REQBUS_TELLER_NO_SECRETS
	}
	core := &tellerCore{}
	var failed *C.reqbus_error
	if status := C.rb_teller_new(bus.native(), &how, texts.text(), texts.sizes(), &core.native, &failed); status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	teller := &Teller{core}
	runtime.AddCleanup(teller, (*tellerCore).free, core)
	return teller, nil
}

// Failed is how many events it could not publish, because the bus was closed.
func (t *Teller) Failed() uint64 {
	defer runtime.KeepAlive(t)
	var count C.uint64_t
	C.reqbus_teller_failed(t.native(), &count)
	return uint64(count)
}

// native is the handle: NULL for a nil teller, which tells nobody.
func (t *Teller) native() *C.reqbus_teller {
	if t == nil {
		return nil
	}
	native := t.core.native
	collect()
	return native
}
