//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape reqbus_permit_finish
#cgo nocallback reqbus_permit_finish
#cgo noescape reqbus_permit_free
#cgo nocallback reqbus_permit_free
#cgo noescape reqbus_permit_id
#cgo nocallback reqbus_permit_id
#cgo noescape reqbus_permit_should_end
#cgo nocallback reqbus_permit_should_end
#cgo noescape reqbus_permit_time_left
#cgo nocallback reqbus_permit_time_left
*/
import "C"

import (
	"runtime"
	"sync"
	"time"
)

// Verdict says how a check ended.
type Verdict uint32

// How a check ended.
const (
	// Succeeded: it is well.
	Succeeded Verdict = C.REQBUS_VERDICT_SUCCEEDED
	// CheckFailed: it is not.
	CheckFailed Verdict = C.REQBUS_VERDICT_FAILED
	// CheckPanicked: the check broke down.
	CheckPanicked Verdict = C.REQBUS_VERDICT_PANICKED
)

// Permit is the right to check one item, and its mark as being checked: no other permit has its id. Finish it. One that is
// collected without that is given back then, as that of a check that broke down.
type Permit struct {
	id   string
	core *permitCore
}

type permitCore struct {
	mu     sync.Mutex
	native *C.reqbus_permit // nil once it was given back
}

func (c *permitCore) free() {
	c.mu.Lock()
	defer c.mu.Unlock()
	C.reqbus_permit_free(&c.native)
}

func permitOf(native *C.reqbus_permit) *Permit {
	var n C.size_t
	id := C.reqbus_permit_id(native, &n)
	permit := &Permit{goText(id, n), &permitCore{native: native}}
	runtime.AddCleanup(permit, (*permitCore).free, permit.core)
	return permit
}

// ID is what is to be checked.
func (p *Permit) ID() string { return p.id }

// ShouldEnd says whether the check is to end: it is over its time, its admission was stopped, or the permit was given back.
func (p *Permit) ShouldEnd() bool {
	defer runtime.KeepAlive(p)
	p.core.mu.Lock()
	defer p.core.mu.Unlock()
	collect()
	answer := C.int32_t(1)
	C.reqbus_permit_should_end(p.core.native, &answer)
	return yes(answer)
}

// TimeLeft is how much time the check has left; 0 when it is over its time, or the permit was given back.
func (p *Permit) TimeLeft() time.Duration {
	defer runtime.KeepAlive(p)
	p.core.mu.Lock()
	defer p.core.mu.Unlock()
	collect()
	var left C.uint64_t
	C.reqbus_permit_time_left(p.core.native, &left)
	return nanos(left)
}

// Finish gives the permit back: false if it was before, or for a verdict that is none.
func (p *Permit) Finish(verdict Verdict) bool {
	defer runtime.KeepAlive(p)
	p.core.mu.Lock()
	defer p.core.mu.Unlock()
	collect()
	return C.reqbus_permit_finish(&p.core.native, C.uint32_t(verdict)) == C.REQBUS_OK
}

// Close gives the permit back without a verdict, if it was not before: its check counts as one that broke down.
func (p *Permit) Close() error {
	if p != nil {
		p.core.free()
		runtime.KeepAlive(p)
	}
	return nil
}
