//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape reqbus_slot_attach
#cgo nocallback reqbus_slot_attach
*/
import "C"

import "runtime"

// Lost is closed when the slot, or a part of it, is lost; never for a release. Nothing of the host's is cancelled: whoever
// wants that ends its own work then. A nil channel, which blocks for ever, of a slot that is released.
func (s *Slot) Lost() <-chan struct{} {
	if s == nil {
		return nil
	}
	defer runtime.KeepAlive(s)
	h := s.holding()
	more := h.needMore()
	more.mu.Lock()
	if more.lost != nil {
		defer more.mu.Unlock()
		return more.lost
	}
	if !h.calls.enter() {
		defer more.mu.Unlock()
		return nil
	}
	more.lost = make(chan struct{})
	b, err := s.block.pool.bell.get()
	if err != nil {
		// No descriptor left: it is still told by LossReason and by Release.
		s.block.leave(h)
		defer more.mu.Unlock()
		return more.lost
	}
	block := s.block
	more.bell = b
	// On the bell's goroutine: looks, and never blocks.
	more.token = b.add(&waker{rung: func() { block.tellLoss(h, more) }})
	token := more.token
	more.mu.Unlock()
	C.reqbus_slot_attach(h.native, b.native, C.uint64_t(token))
	block.leave(h)
	block.tellLoss(h, more)
	return more.lost
}

// tellLoss closes the channel if the slot is lost.
func (k *slotBlock) tellLoss(h *holding, more *slotMore) {
	if k.lossReason(h) == NotLost {
		return
	}
	more.mu.Lock()
	defer more.mu.Unlock()
	if !more.isLost {
		more.isLost = true
		close(more.lost)
	}
}
