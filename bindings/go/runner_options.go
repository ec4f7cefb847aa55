//go:build cgo

package reqbus

// #include "shim.h"
import "C"

import "time"

// RunnerOptions says how a [Runner] or an [Admission] goes. Zero is every default.
type RunnerOptions struct {
	// Every is the time from the beginning of one round to that of the next, at most a day. Default 5 s.
	Every time.Duration
	// Limit is after what time a check is stuck, at most a day. Default 63 s.
	Limit time.Duration
	// Jitter is within what time the first round begins, at most a day. Default 0: at once.
	Jitter time.Duration
	// Seed is what the jitter is drawn from, and makes it the same each time. nil draws one.
	Seed *uint64
	// AtOnce is how many checks run at once, at most 1,024; as many again may be stuck. Default 5.
	AtOnce int
	// Teller tells on its bus how checks end. nil tells nobody.
	Teller *Teller
	// OnError hears of errors, on the goroutine that met them: of what a check returned, with its id; of what went wrong as
	// the host was asked what is due, with an empty one. A panic is a [*PanicError]. Of a [Runner] only.
	OnError func(id string, err error)
}

func (o *RunnerOptions) native() (C.reqbus_runner_options, error) {
	for _, field := range []struct {
		name  string
		value int64
	}{{"every", int64(o.Every)}, {"limit", int64(o.Limit)}, {"jitter", int64(o.Jitter)}, {"at_once", int64(o.AtOnce)}} {
		if field.value < 0 {
			return C.reqbus_runner_options{}, &Error{Kind: KindInvalidArgument, Context: field.name, Message: "it is negative"}
		}
	}
	native := C.reqbus_runner_options{
		size:      C.sizeof_reqbus_runner_options,
		every_ms:  C.uint64_t(milliseconds(o.Every)),
		limit_ms:  C.uint64_t(milliseconds(o.Limit)),
		jitter_ms: C.uint64_t(milliseconds(o.Jitter)),
		// More than C can say is too many in any case.
		at_once: C.uint32_t(min(o.AtOnce, 1<<31-1)),
		teller:  o.Teller.native(),
	}
	if o.Seed != nil {
		native.flags |= C.REQBUS_RUNNER_SEEDED
		native.seed = C.uint64_t(*o.Seed)
	}
	return native, nil
}
