//go:build cgo && reqbus_testclock

package reqbus

/*
#include "shim.h"
#include <reqbus_test.h>

static inline reqbus_status rb_pool_on_clock(const reqbus_pool_options *options, void *clock, reqbus_pool **pool,
                                             reqbus_error **error) {
    return reqbus_test_pool_new(options, clock, pool, error);
}

static inline reqbus_status rb_test_pool_new(reqbus_test_clock *clock, const rb_pool_how *how, const char *bytes,
                                             const size_t *lens, reqbus_pool **pool, rb_leaks **leaks,
                                             reqbus_error **error) {
    return rb_pool_new_with(rb_pool_on_clock, clock, how, bytes, lens, pool, leaks, error);
}

// What a pool on a store behind a line is made with.
typedef struct rb_line {
    reqbus_test_clock *clock;
    reqbus_test_fault *fault;
    reqbus_test_fault_options line;
} rb_line;

static inline reqbus_status rb_pool_on_line(const reqbus_pool_options *options, void *with, reqbus_pool **pool,
                                            reqbus_error **error) {
    rb_line *line = with;
    return reqbus_test_pool_new_on_fault(options, line->clock, &line->line, line->fault, pool, error);
}

static inline reqbus_status rb_test_pool_on_line(const rb_line *line, const rb_pool_how *how, const char *bytes,
                                                 const size_t *lens, reqbus_pool **pool, rb_leaks **leaks,
                                                 reqbus_error **error) {
    return rb_pool_new_with(rb_pool_on_line, (void *)line, how, bytes, lens, pool, leaks, error);
}
#cgo noescape rb_test_pool_new
#cgo nocallback rb_test_pool_new
#cgo noescape rb_test_pool_on_line
#cgo nocallback rb_test_pool_on_line
#cgo noescape reqbus_test_admission_new
#cgo nocallback reqbus_test_admission_new
#cgo noescape reqbus_test_bus_new
#cgo nocallback reqbus_test_bus_new
#cgo noescape reqbus_test_clock_advance
#cgo nocallback reqbus_test_clock_advance
#cgo noescape reqbus_test_clock_free
#cgo nocallback reqbus_test_clock_free
#cgo noescape reqbus_test_clock_new
#cgo nocallback reqbus_test_clock_new
#cgo noescape reqbus_test_fault_come_back
#cgo nocallback reqbus_test_fault_come_back
#cgo noescape reqbus_test_fault_free
#cgo nocallback reqbus_test_fault_free
#cgo noescape reqbus_test_fault_go_down
#cgo nocallback reqbus_test_fault_go_down
#cgo noescape reqbus_test_fault_new
#cgo nocallback reqbus_test_fault_new
*/
import "C"

import (
	"runtime"
	"time"
)

// hasTestClock says whether the library that is linked has a clock that tests drive.
const hasTestClock = true

// testClock stands still until it is advanced.
type testClock struct{ native *C.reqbus_test_clock }

func newTestClock() *testClock {
	clock := &testClock{}
	C.reqbus_test_clock_new(&clock.native)
	return clock
}

// advance moves the clock; every timer that comes due has fired when it returns.
func (c *testClock) advance(by time.Duration) { C.reqbus_test_clock_advance(c.native, C.uint64_t(by)) }

func (c *testClock) free() { C.reqbus_test_clock_free(&c.native) }

// newBus makes a bus that reads its time from the clock.
func (c *testClock) newBus(options BusOptions) (*Bus, error) {
	native, err := options.native()
	if err != nil {
		return nil, err
	}
	var bus *C.reqbus_bus
	var failed *C.reqbus_error
	if status := C.reqbus_test_bus_new(&native, c.native, &bus, &failed); status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	return busOf(bus), nil
}

// newPool makes a pool that reads its time from the clock.
func (c *testClock) newPool(options PoolOptions) (*Pool, error) {
	defer runtime.KeepAlive(options.Teller)
	how, texts, err := options.native()
	if err != nil {
		return nil, err
	}
	core := &poolCore{onLeak: options.OnLeak}
	var failed *C.reqbus_error
	status := C.rb_test_pool_new(c.native, &how, texts.text(), texts.sizes(), &core.native, &core.told, &failed)
	if status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	return poolOf(core), nil
}

// testFault takes a store down and brings it back.
type testFault struct{ native *C.reqbus_test_fault }

func newTestFault() *testFault {
	fault := &testFault{}
	C.reqbus_test_fault_new(&fault.native)
	return fault
}

func (f *testFault) goDown()   { C.reqbus_test_fault_go_down(f.native) }
func (f *testFault) comeBack() { C.reqbus_test_fault_come_back(f.native) }
func (f *testFault) free()     { C.reqbus_test_fault_free(&f.native) }

// testLine is how bad the line to a store is. Zero is a good one; chances are out of 1,000.
type testLine struct {
	seed                     uint64
	latest                   time.Duration
	lost, doubled, lostLease int
}

// newPoolOn makes a pool on a store behind a line, which answers when the clock is advanced. Its calls block a thread
// meanwhile, which those on memory never do.
func (c *testClock) newPoolOn(line testLine, fault *testFault, options PoolOptions) (*Pool, error) {
	defer runtime.KeepAlive(options.Teller)
	how, texts, err := options.native()
	if err != nil {
		return nil, err
	}
	native := C.rb_line{clock: c.native, fault: fault.native}
	native.line = C.reqbus_test_fault_options{
		size: C.sizeof_reqbus_test_fault_options, seed: C.uint64_t(line.seed), latest_ns: C.uint64_t(line.latest),
		lost: C.uint32_t(line.lost), doubled: C.uint32_t(line.doubled), lost_lease: C.uint32_t(line.lostLease),
	}
	core := &poolCore{onLeak: options.OnLeak, timeoutMS: -1}
	var failed *C.reqbus_error
	status := C.rb_test_pool_on_line(&native, &how, texts.text(), texts.sizes(), &core.native, &core.told, &failed)
	if status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	return poolOf(core), nil
}

// newAdmission makes an admission that reads its time from the clock.
func (c *testClock) newAdmission(options RunnerOptions) (*Admission, error) {
	defer runtime.KeepAlive(options.Teller)
	how, err := options.native()
	if err != nil {
		return nil, err
	}
	var native *C.reqbus_admission
	var failed *C.reqbus_error
	if status := C.reqbus_test_admission_new(&how, c.native, &native, &failed); status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	return admissionOf(native), nil
}
