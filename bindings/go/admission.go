//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_admit
#cgo nocallback rb_admit
#cgo noescape reqbus_admission_fail_round
#cgo nocallback reqbus_admission_fail_round
#cgo noescape reqbus_admission_free
#cgo nocallback reqbus_admission_free
#cgo noescape reqbus_admission_get_stats
#cgo nocallback reqbus_admission_get_stats
#cgo noescape reqbus_admission_in_flight
#cgo nocallback reqbus_admission_in_flight
#cgo noescape reqbus_admission_is_paused
#cgo nocallback reqbus_admission_is_paused
#cgo noescape reqbus_admission_new
#cgo nocallback reqbus_admission_new
#cgo noescape reqbus_admission_pause
#cgo nocallback reqbus_admission_pause
#cgo noescape reqbus_admission_stop
#cgo nocallback reqbus_admission_stop
#cgo noescape reqbus_admission_until_next_round
#cgo nocallback reqbus_admission_until_next_round
*/
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

// Due is something that is due.
type Due struct {
	// ID is what is to be checked: 1 to 255 bytes.
	ID string
	// Overdue is for how long it has been due: the longest come first, equals take turns.
	Overdue time.Duration
}

// Admission decides which checks begin, for hosts with a loop of their own; [Runner] has one. It starts nothing: the loop
// sleeps for [Admission.UntilNextRound], asks what is due, and runs one check for each permit of [Admission.Admit].
type Admission struct{ core *admissionCore }

type admissionCore struct{ native *C.reqbus_admission }

// handle is the native handle, for a call through which the Admission is kept alive.
func (c *admissionCore) handle() *C.reqbus_admission {
	native := c.native
	collect()
	return native
}

func (c *admissionCore) free() { C.reqbus_admission_free(&c.native) }

// NewAdmission makes an admission. Its first round is due at once, or within the jitter.
func NewAdmission(options RunnerOptions) (*Admission, error) {
	defer runtime.KeepAlive(options.Teller)
	how, err := options.native()
	if err != nil {
		return nil, err
	}
	var native *C.reqbus_admission
	var failed *C.reqbus_error
	if status := C.reqbus_admission_new(&how, &native, &failed); status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	return admissionOf(native), nil
}

func admissionOf(native *C.reqbus_admission) *Admission {
	admission := &Admission{&admissionCore{native}}
	runtime.AddCleanup(admission, (*admissionCore).free, admission.core)
	return admission
}

// UntilNextRound is how long it is until the next round; 0 when it is due.
func (a *Admission) UntilNextRound() time.Duration {
	defer runtime.KeepAlive(a)
	var wait C.uint64_t
	C.reqbus_admission_until_next_round(a.core.handle(), &wait)
	return nanos(wait)
}

// maxAtOnce is more permits than any admission has room for.
const maxAtOnce = 1024

// Admit begins a round, whenever it is called, and gives at most so many permits for those of due that may be checked now,
// in the order in which they should begin. Give each back ([Permit.Finish]). What got none was counted as busy or as
// without room, and is due again in the next round. While paused there are none; after a stop the error is [ErrClosed].
// For an id that is none it is [ErrInvalid], and then nothing was admitted and no round begun.
func (a *Admission) Admit(due []Due, atMost int) ([]*Permit, error) {
	defer runtime.KeepAlive(a)
	var texts packed
	overdue := make([]C.uint64_t, len(due))
	for at, item := range due {
		texts.add(item.ID)
		overdue[at] = C.uint64_t(max(item.Overdue.Milliseconds(), 0))
	}
	natives := make([]*C.reqbus_permit, max(min(atMost, len(due), maxAtOnce), 0))
	var count C.size_t
	var failed *C.reqbus_error
	status := C.rb_admit(a.core.handle(), texts.text(), texts.sizes(), unsafe.SliceData(overdue), C.size_t(len(due)),
		unsafe.SliceData(natives), C.size_t(len(natives)), &count, &failed)
	if status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	permits := make([]*Permit, int(count))
	for at := range permits {
		permits[at] = permitOf(natives[at])
	}
	return permits, nil
}

// FailRound notes a round in which the host could not say what is due: it is counted, and the next comes in its time.
func (a *Admission) FailRound() {
	defer runtime.KeepAlive(a)
	C.reqbus_admission_fail_round(a.core.handle())
}

// Pause pauses, or goes on: rounds are passed over, what is in flight goes on.
func (a *Admission) Pause(paused bool) {
	defer runtime.KeepAlive(a)
	var number C.int32_t
	if paused {
		number = 1
	}
	C.reqbus_admission_pause(a.core.handle(), number)
}

// IsPaused says whether it is paused: a host need not look for what is due then.
func (a *Admission) IsPaused() bool {
	defer runtime.KeepAlive(a)
	var answer C.int32_t
	C.reqbus_admission_is_paused(a.core.handle(), &answer)
	return yes(answer)
}

// Stop stops: nothing is admitted any more, and those under way are told ([Permit.ShouldEnd]). Idempotent.
func (a *Admission) Stop() {
	defer runtime.KeepAlive(a)
	C.reqbus_admission_stop(a.core.handle())
}

// InFlight lists what is being checked, oldest first.
func (a *Admission) InFlight() []Flight {
	defer runtime.KeepAlive(a)
	var list *C.reqbus_flights
	if C.reqbus_admission_in_flight(a.core.handle(), &list, nil) != C.REQBUS_OK {
		return nil
	}
	return takeFlights(list)
}

// Stats is what was counted.
func (a *Admission) Stats() RunnerStats {
	defer runtime.KeepAlive(a)
	n := C.reqbus_runner_stats{size: C.sizeof_reqbus_runner_stats}
	C.reqbus_admission_get_stats(a.core.handle(), &n)
	return runnerStats(&n)
}

// Close is Stop.
func (a *Admission) Close() error {
	if a != nil {
		a.Stop()
	}
	return nil
}
