//go:build cgo

package reqbus

// #include "shim.h"
import "C"

import "time"

// AcquireOption is a [WaitOptions], or one of its fields by name: [Label], [Timeout], [MaxWaiting], [OnPing].
type AcquireOption interface{ applyTo(*WaitOptions) }

// WaitOptions says how a wait goes. Zero is every default.
type WaitOptions struct {
	// Label is what the holder is called in lists: a request id, a path. At most 255 bytes.
	Label string
	// Timeout is how long to wait at most, over all keys. Default 30 s; less than 0 waits for ever.
	Timeout time.Duration
	// Try does not wait.
	Try bool
	// MaxWaiting is how many may wait for a key when this wait joins its queue, itself not counted. Default 20; less than
	// 0 does not wait.
	MaxWaiting int
	// PingEvery is after what time a ping is due, and again after the host came back from one. Default 15 s; less than 0
	// is never.
	PingEvery time.Duration
	// OnPing writes a ping to the client, on the goroutine that waits. Its error ends the wait, as its cause.
	OnPing func() error
}

func (o WaitOptions) applyTo(to *WaitOptions) { *to = o }

// Label is [WaitOptions.Label].
type Label string

func (l Label) applyTo(to *WaitOptions) { to.Label = string(l) }

// Timeout is [WaitOptions.Timeout]; 0 does not wait.
type Timeout time.Duration

func (t Timeout) applyTo(to *WaitOptions) {
	to.Timeout = time.Duration(t)
	to.Try = to.Try || t == 0
}

// MaxWaiting is [WaitOptions.MaxWaiting]; 0 does not wait.
type MaxWaiting int

func (m MaxWaiting) applyTo(to *WaitOptions) {
	to.MaxWaiting = int(m)
	to.Try = to.Try || m <= 0
}

// OnPing is [WaitOptions.OnPing].
type OnPing func() error

func (f OnPing) applyTo(to *WaitOptions) { to.OnPing = f }

func (o *WaitOptions) native() C.rb_wait_how {
	how := C.rb_wait_how{
		timeout_ms:    C.int64_t(milliseconds(o.Timeout)),
		ping_every_ms: C.uint64_t(milliseconds(o.PingEvery)),
		max_waiting:   C.uint32_t(max(o.MaxWaiting, 0)),
	}
	if o.Timeout < 0 {
		how.timeout_ms = -1
	}
	if o.Try || o.MaxWaiting < 0 {
		how.flags |= C.REQBUS_WAIT_TRY
	}
	if o.PingEvery < 0 {
		how.flags |= C.REQBUS_WAIT_NO_PINGS
	}
	return how
}
