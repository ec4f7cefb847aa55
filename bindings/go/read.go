//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_recv
#cgo nocallback rb_recv
#cgo noescape rb_recv_texts
#cgo nocallback rb_recv_texts
*/
import "C"

import (
	"context"
	"io"
	"iter"
	"runtime"
	"time"
	"unsafe"
)

// ReadLimits bound one read. Zero is every default.
type ReadLimits struct {
	// Items is the most items; default 256.
	Items int
	// Bytes is the most bytes, of events or of texts; default 1 MiB. One larger item is still returned, alone.
	Bytes int
}

func (l ReadLimits) native() (items, bytes C.size_t) {
	items, bytes = 256, 1<<20
	if l.Items > 0 {
		items = C.size_t(l.Items)
	}
	if l.Bytes > 0 {
		bytes = C.size_t(l.Bytes)
	}
	return items, bytes
}

// Form is the form of a text.
type Form uint32

// The forms of texts.
const (
	// FormJSON: the payload alone, one line of JSON.
	FormJSON Form = C.REQBUS_FORM_JSON
	// FormEnvelope: one JSON object with id, kind, key, time and payload; a WebSocket message.
	FormEnvelope Form = C.REQBUS_FORM_ENVELOPE
	// FormNDJSON: the envelope and a line feed.
	FormNDJSON Form = C.REQBUS_FORM_NDJSON
	// FormSSE: a server-sent event.
	FormSSE Form = C.REQBUS_FORM_SSE
)

// TryBatch reads what is there and does not wait: nil if there is nothing now, [ErrClosed] after the last item.
func (s *Subscription) TryBatch(limits ReadLimits) (*Batch, error) {
	defer runtime.KeepAlive(s)
	if kept := s.takeKept(); kept != nil {
		return &Batch{Items: kept, Settled: s.Settled()}, nil
	}
	var batch *Batch
	err := s.core.read(func(reader *C.rb_reader, native *C.reqbus_bell) C.reqbus_status {
		items, bytes := limits.native()
		status := C.rb_recv(s.core.native, reader, items, bytes, native)
		if status == C.REQBUS_OK {
			batch = batchOf(reader)
		}
		return status
	})
	return batch, err
}

// NextBatch reads what is there, at least one item, and waits for that. It ends with ctx's own error, or with [ErrClosed]
// after the last item; nothing is lost by either. [ErrBusy] if another goroutine waits on this subscription.
func (s *Subscription) NextBatch(ctx context.Context) (*Batch, error) {
	defer runtime.KeepAlive(s)
	var batch *Batch
	err := s.core.wait(ctx, func() (bool, error) {
		var err error
		batch, err = s.TryBatch(ReadLimits{})
		return batch != nil, err
	})
	return batch, err
}

// Items reads item by item, in batches underneath. It ends when the subscription does, or with ctx; [Subscription.Err]
// says which. An iterator that stops midway keeps the rest for the next one.
func (s *Subscription) Items(ctx context.Context) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		s.setErr(nil)
		for {
			batch, err := s.NextBatch(ctx)
			if err != nil {
				s.setErr(err)
				return
			}
			for at, item := range batch.Items {
				if !yield(item) {
					s.keep(batch.Items[at+1:])
					return
				}
			}
		}
	}
}

// Err says why the latest iteration ended: [ErrClosed] after the last item, or the error of its context. nil if it was
// left by its own loop, or goes on.
func (s *Subscription) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *Subscription) setErr(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
}

func (s *Subscription) keep(rest []Item) {
	if len(rest) > 0 {
		s.mu.Lock()
		s.kept = append(rest[:len(rest):len(rest)], s.kept...)
		s.mu.Unlock()
	}
}

func (s *Subscription) takeKept() []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.kept
	s.kept = nil
	return kept
}

// Texts is what one read gave, ready to write.
type Texts struct {
	// Buffer holds all texts, one behind the other, and Ends where each ends. Valid until the function that was given it
	// returns.
	Buffer []byte
	Ends   []uint
	// Settled is up to where the reader knows everything once they are written.
	Settled ID
}

// Each calls use with each text.
func (t Texts) Each(use func(text []byte) error) error {
	begin := uint(0)
	for _, end := range t.Ends {
		if err := use(t.Buffer[begin:end:end]); err != nil {
			return err
		}
		begin = end
	}
	return nil
}

// TryTexts reads what is there as texts, gives them to use and does not wait: false if there is nothing now, [ErrClosed]
// after the last item. The texts are not copied: use must not keep them.
func (s *Subscription) TryTexts(form Form, limits ReadLimits, use func(Texts) error) (bool, error) {
	defer runtime.KeepAlive(s)
	some := false
	var failed error
	err := s.core.read(func(reader *C.rb_reader, native *C.reqbus_bell) C.reqbus_status {
		items, bytes := limits.native()
		status := C.rb_recv_texts(s.core.native, reader, C.uint32_t(form), items, bytes, native)
		if status == C.REQBUS_OK {
			some = true
			failed = use(Texts{
				Buffer:  unsafe.Slice((*byte)(unsafe.Pointer(reader.text.buffer)), int(reader.text.buffer_len)),
				Ends:    unsafe.Slice((*uint)(unsafe.Pointer(reader.text.ends)), int(reader.text.count)),
				Settled: idOf(reader.settled),
			})
		}
		return status
	})
	if failed != nil {
		err = failed
	}
	return some, err
}

// NextTexts is TryTexts, and waits for at least one text, as [Subscription.NextBatch] does.
func (s *Subscription) NextTexts(ctx context.Context, form Form, limits ReadLimits, use func(Texts) error) error {
	defer runtime.KeepAlive(s)
	return s.core.wait(ctx, func() (bool, error) { return s.TryTexts(form, limits, use) })
}

// WriteTexts is NextTexts with everything in one write.
func (s *Subscription) WriteTexts(ctx context.Context, form Form, limits ReadLimits, to io.Writer) error {
	return s.NextTexts(ctx, form, limits, func(texts Texts) error {
		_, err := to.Write(texts.Buffer)
		return err
	})
}

// read makes one try within a call, with a native batch.
func (c *subscriptionCore) read(try func(*C.rb_reader, *C.reqbus_bell) C.reqbus_status) error {
	collect()
	if !c.calls.enter() {
		return closed("subscription")
	}
	defer c.leave()
	reader, err := takeReader()
	if err != nil {
		return err
	}
	defer giveReader(reader)
	var native *C.reqbus_bell
	b := c.bell.Load()
	if b != nil {
		native = b.native
	}
	status := try(reader, native)
	if b != nil && reader.tokens.count > 0 {
		c.pass(b, &reader.tokens)
	}
	if status == C.REQBUS_TIMEOUT {
		return nil
	}
	return ofStatus(status)
}

// pass wakes the others whose tokens came along with our own, which needs no wake: whoever waits here looks before it
// sleeps.
func (c *subscriptionCore) pass(b *bell, tokens *C.rb_tokens) {
	for _, token := range tokens.token[:tokens.count] {
		if uint64(token) != c.token || c.waiting.Load() {
			b.wake(uint64(token))
		}
	}
}

// wait tries until there is something, asleep in between.
func (c *subscriptionCore) wait(ctx context.Context, try func() (bool, error)) error {
	_, err := c.waitOrTick(ctx, nil, try)
	return err
}

// waitOrTick is wait that a tick ends too.
func (c *subscriptionCore) waitOrTick(ctx context.Context, tick <-chan time.Time, try func() (bool, error)) (isTick bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if !c.waiting.CompareAndSwap(false, true) {
		return false, &Error{Kind: KindBusy, Context: "subscription", Message: "another goroutine waits on it; one at a time"}
	}
	defer c.waiting.Store(false)
	for slept := false; ; slept = true {
		if slept && c.linger > 0 {
			if err := sleep(ctx, c.linger); err != nil {
				return false, err
			}
		}
		// What rang so far is found by the look that follows.
		select {
		case <-c.waker.ch:
		default:
		}
		if some, err := try(); some || err != nil {
			return false, err
		}
		if !c.calls.enter() {
			return false, closed("subscription")
		}
		isNew := c.bell.Load() == nil
		err := c.wakeUp()
		c.leave()
		if err != nil {
			return false, err
		}
		if isNew {
			slept = false
			if some, err := try(); some || err != nil {
				return false, err
			}
		}
		select {
		case <-c.waker.ch:
		case <-tick:
			return true, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// sleep waits for d, or for ctx's end.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
