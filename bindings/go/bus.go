//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape reqbus_bus_audience_count
#cgo nocallback reqbus_bus_audience_count
#cgo noescape reqbus_bus_close
#cgo nocallback reqbus_bus_close
#cgo noescape reqbus_bus_epoch
#cgo nocallback reqbus_bus_epoch
#cgo noescape reqbus_bus_free
#cgo nocallback reqbus_bus_free
#cgo noescape reqbus_bus_kind
#cgo nocallback reqbus_bus_kind
#cgo noescape reqbus_bus_new
#cgo nocallback reqbus_bus_new
#cgo noescape reqbus_bus_newest
#cgo nocallback reqbus_bus_newest
#cgo noescape reqbus_bus_set_status
#cgo nocallback reqbus_bus_set_status
#cgo noescape reqbus_bus_wanted
#cgo nocallback reqbus_bus_wanted
*/
import "C"

import (
	"runtime"
	"time"
)

// BusOptions says how a bus is made. Zero is every default.
type BusOptions struct {
	// LogEvents is how many events the log keeps at most, 1 to 1,048,576. Default 2,000.
	LogEvents int
	// LogBytes is how many bytes the log keeps at most, 64 KiB to 16 GiB. Default 8 MiB.
	LogBytes int
	// ResumeAge is the age of the oldest event that a resume may still get. Default 30 s.
	ResumeAge time.Duration
	// NoResume makes a bus whose readers cannot resume: every id is answered with a [Resync].
	NoResume bool
}

// burstGather is how long a sleeping reader may sleep on after the first event of a burst.
const burstGather = 200 * time.Microsecond

// Bus is one order of events with any number of readers. A nil Bus takes events and does nothing with them.
//
// Close it when the gateway ends; its memory is given back with the last reference to it.
type Bus struct{ core *busCore }

// busCore is what a bus leaves behind for its clean-up.
type busCore struct {
	native *C.reqbus_bus
	bell   bellOf
}

func (c *busCore) free() {
	c.bell.close()
	C.reqbus_bus_free(&c.native)
}

// handle is the native handle, for a call through which the Bus is kept alive.
func (c *busCore) handle() *C.reqbus_bus {
	native := c.native
	collect()
	return native
}

// NewBus makes a bus.
func NewBus(options BusOptions) (*Bus, error) {
	native, err := options.native()
	if err != nil {
		return nil, err
	}
	var bus *C.reqbus_bus
	var failed *C.reqbus_error
	if status := C.reqbus_bus_new(&native, &bus, &failed); status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	return busOf(bus), nil
}

func (o BusOptions) native() (C.reqbus_bus_options, error) {
	if o.LogEvents < 0 || o.LogBytes < 0 || o.ResumeAge < 0 {
		return C.reqbus_bus_options{}, &Error{Kind: KindInvalidArgument, Context: "options", Message: "a number is negative"}
	}
	native := C.reqbus_bus_options{
		size:          C.sizeof_reqbus_bus_options,
		log_events:    C.size_t(o.LogEvents),
		log_bytes:     C.size_t(o.LogBytes),
		resume_age_ms: C.uint64_t(milliseconds(o.ResumeAge)),
	}
	if o.NoResume {
		native.flags = C.REQBUS_BUS_NO_RESUME
	}
	return native, nil
}

func busOf(native *C.reqbus_bus) *Bus {
	bus := &Bus{core: &busCore{native: native, bell: bellOf{gather: burstGather}}}
	runtime.AddCleanup(bus, (*busCore).free, bus.core)
	return bus
}

// Close ends the bus: what is published from now on is refused with [ErrClosed], sleeping readers wake, and each reads up
// to the newest event and then gets ErrClosed. Idempotent; nil for a nil bus.
func (b *Bus) Close() error {
	if b == nil {
		return nil
	}
	defer runtime.KeepAlive(b)
	status := C.reqbus_bus_close(b.core.handle())
	b.core.bell.close()
	return ofStatus(status)
}

// EventKind is a kind that was registered with a bus.
type EventKind struct{ number C.uint32_t }

// Kind registers a kind, for [Bus.Wanted]. The same kind gives the same for the life of the bus.
func (b *Bus) Kind(kind string) (EventKind, error) {
	defer runtime.KeepAlive(b)
	var number C.uint32_t
	var failed *C.reqbus_error
	status := C.reqbus_bus_kind(b.native(), cstr(kind), clen(kind), &number, &failed)
	return EventKind{number}, takeError(status, failed)
}

// Wanted says whether an event of this kind would have a reader, so that a host may skip building it. Always true on a
// bus that can be resumed; false of a nil bus.
func (b *Bus) Wanted(kind EventKind) bool {
	defer runtime.KeepAlive(b)
	return C.reqbus_bus_wanted(b.native(), kind.number) == 1
}

// SetStatus sets the latest status of a source (at most 64), such as "upstream-a", "connected", "". Every subscription
// gets it, one that begins later gets it first. The state "gone" removes the source.
func (b *Bus) SetStatus(source, state, detail string) error {
	defer runtime.KeepAlive(b)
	var failed *C.reqbus_error
	status := C.reqbus_bus_set_status(b.native(), cstr(source), clen(source), cstr(state), clen(state), cstr(detail),
		clen(detail), &failed)
	return takeError(status, failed)
}

// Newest is the id of the newest event; its Seq is 0 before the first.
func (b *Bus) Newest() ID {
	defer runtime.KeepAlive(b)
	var id C.reqbus_id
	C.reqbus_bus_newest(b.native(), &id)
	return idOf(id)
}

// Epoch is the first half of all ids of this bus.
func (b *Bus) Epoch() uint64 {
	defer runtime.KeepAlive(b)
	var epoch C.uint64_t
	C.reqbus_bus_epoch(b.native(), &epoch)
	return uint64(epoch)
}

// AudienceCount is how many open subscriptions share the audience.
func (b *Bus) AudienceCount(name string) int {
	defer runtime.KeepAlive(b)
	var count C.size_t
	C.reqbus_bus_audience_count(b.native(), cstr(name), clen(name), &count)
	return int(count)
}

// native is the handle: NULL for a nil bus, which every function of the library answers.
func (b *Bus) native() *C.reqbus_bus {
	if b == nil {
		return nil
	}
	return b.core.handle()
}
