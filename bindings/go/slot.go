//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape reqbus_slot_holders
#cgo nocallback reqbus_slot_holders
#cgo noescape reqbus_slot_join
#cgo nocallback reqbus_slot_join
#cgo noescape reqbus_slot_lost
#cgo nocallback reqbus_slot_lost
#cgo noescape reqbus_slot_release
#cgo nocallback reqbus_slot_release
#cgo noescape reqbus_slot_release_scope
#cgo nocallback reqbus_slot_release_scope
*/
import "C"

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Released says what a release came to.
type Released string

// What a release came to.
const (
	// ReleasedNow: it was held, and is free now.
	ReleasedNow Released = "released"
	// AlreadyReleased: it was released before, or never had this scope.
	AlreadyReleased Released = "already"
	// LostBefore: it, or a part of it, was lost before; the rest is free now.
	LostBefore Released = "lost"
)

func releasedOf(status C.reqbus_status) Released {
	switch status {
	case C.REQBUS_OK:
		return ReleasedNow
	case C.REQBUS_SLOT_LOST:
		return LostBefore
	}
	return AlreadyReleased
}

// LossReason says why a slot was lost. Nothing of the host's is cancelled: the work it was for may still be running.
type LossReason uint32

// Why a slot was lost.
const (
	// NotLost: it is not.
	NotLost LossReason = C.REQBUS_LOSS_NONE
	// LossExpired: its lease ended.
	LossExpired LossReason = C.REQBUS_LOSS_EXPIRED
	// LossForced: somebody took it away: [Pool.Force].
	LossForced LossReason = C.REQBUS_LOSS_FORCED
	// LossStore: the store forgot it.
	LossStore LossReason = C.REQBUS_LOSS_STORE
)

func (r LossReason) String() string {
	names := [...]string{"none", "expired", "forced", "store"}
	if int(r) < len(names) {
		return names[r]
	}
	return "unknown"
}

// Slot is a request's place within its limits: one unit of each key that was asked for, in use until it is released. A nil
// Slot holds nothing.
//
// Release it, best by defer. One that is collected without that is released then, counted as leaked ([Pool.Leaked]) and
// told to [PoolOptions.OnLeak].
type Slot struct {
	block *slotBlock
	at    uint8
}

// holding is a slot's other half, which does not keep the slot alive: its native handle.
type holding struct {
	calls  calls
	native *C.reqbus_slot
	more   atomic.Pointer[slotMore]
}

// slotMore is what few slots need.
type slotMore struct {
	mu sync.Mutex
	// stop unties the slot from its context.
	stop func() bool
	// lost is closed when the slot is.
	lost   chan struct{}
	isLost bool
	// reason is why, as it was last seen.
	reason atomic.Uint32
	bell   *bell
	token  uint64
}

func (s *Slot) holding() *holding { return &s.block.holdings[s.at] }

// Release gives everything back, and hands it to whoever waits. It never waits and never fails; however often and from
// wherever it is called, each unit is given back once.
func (s *Slot) Release() Released {
	if s == nil {
		return AlreadyReleased
	}
	released := s.block.release(s.at)
	runtime.KeepAlive(s)
	return released
}

// release is Release without the slot.
func (k *slotBlock) release(at uint8) Released {
	collect()
	h := &k.holdings[at]
	first, free := h.calls.end()
	if !first {
		return AlreadyReleased
	}
	var status C.reqbus_status
	if free {
		status = k.pool.endSlot(h.native)
	} else {
		// Another call is at work on it and frees it as it leaves. Release it now all the same.
		status = C.reqbus_slot_release(h.native)
		k.pool.look()
	}
	if more := h.more.Load(); more != nil {
		more.end()
	}
	k.noteEnd()
	return releasedOf(status)
}

// leave ends a call on the slot.
func (k *slotBlock) leave(h *holding) {
	if h.calls.leave() {
		k.pool.endSlot(h.native)
	}
}

// ReleaseScope gives back the unit of one scope and keeps the rest: so a gateway keeps its user's slot while it changes
// accounts.
func (s *Slot) ReleaseScope(scope string) Released {
	if s == nil {
		return AlreadyReleased
	}
	defer runtime.KeepAlive(s)
	collect()
	h := s.holding()
	if !h.calls.enter() {
		return AlreadyReleased
	}
	defer s.block.leave(h)
	status := C.reqbus_slot_release_scope(h.native, cstr(scope), clen(scope))
	s.block.pool.look()
	return releasedOf(status)
}

// Join moves what other holds to this slot: from then on one release gives both back, and other is released as far as its
// own handle goes. What is joined to a slot that was released is released too. Refused if both hold more than 8 keys.
func (s *Slot) Join(other *Slot) error {
	if s == nil || other == nil || s == other {
		return &Error{Kind: KindInvalidArgument, Context: "slot", Message: "there are no two slots to join"}
	}
	defer runtime.KeepAlive(s)
	defer runtime.KeepAlive(other)
	collect()
	from := other.holding()
	if !from.calls.own() {
		if from.calls.hasEnded() {
			return nil // it holds nothing
		}
		return &Error{Kind: KindBusy, Context: "slot", Message: "another call is at work on the slot to be joined"}
	}
	into := s.holding()
	if !into.calls.enter() {
		other.block.pool.endSlot(from.native)
		other.block.noteEnd()
		return nil
	}
	defer s.block.leave(into)
	var failed *C.reqbus_error
	status := C.reqbus_slot_join(into.native, &from.native, &failed)
	if status != C.REQBUS_OK {
		from.calls.reopen()
		return takeError(status, failed)
	}
	if more := from.more.Load(); more != nil {
		more.end()
	}
	other.block.noteEnd()
	return nil
}

// Keys are those it holds or has lost, in the order they were taken; none once it is released.
func (s *Slot) Keys() []Key {
	var keys []Key
	for _, holder := range s.Holders() {
		keys = append(keys, holder.Key)
	}
	return keys
}

// Holders are its entries in the lists of holders: key, label and age of each unit that it holds.
func (s *Slot) Holders() []Holder {
	if s == nil {
		return nil
	}
	defer runtime.KeepAlive(s)
	collect()
	h := s.holding()
	if !h.calls.enter() {
		return nil
	}
	defer s.block.leave(h)
	var list *C.reqbus_holders
	if C.reqbus_slot_holders(h.native, &list, nil) != C.REQBUS_OK {
		return nil
	}
	return takeHolders(list)
}

// LossReason says why the slot, or a part of it, was lost. Of a slot that is released, what it said before that.
func (s *Slot) LossReason() LossReason {
	if s == nil {
		return NotLost
	}
	defer runtime.KeepAlive(s)
	return s.block.lossReason(s.holding())
}

func (k *slotBlock) lossReason(h *holding) LossReason {
	if !h.calls.enter() {
		if more := h.more.Load(); more != nil {
			return LossReason(more.reason.Load())
		}
		return NotLost
	}
	defer k.leave(h)
	var reason C.uint32_t
	C.reqbus_slot_lost(h.native, &reason)
	if reason != 0 {
		h.needMore().reason.Store(uint32(reason))
	}
	return LossReason(reason)
}

// Close is Release.
func (s *Slot) Close() error {
	s.Release()
	return nil
}

// ReleaseOnDone ties the slot to ctx: it is released when ctx ends, if it was not before. Without a goroutine. A slot tied
// to another context is tied to this one instead.
func (s *Slot) ReleaseOnDone(ctx context.Context) {
	if s == nil {
		return
	}
	defer runtime.KeepAlive(s)
	block, at := s.block, s.at
	more := s.holding().needMore()
	more.mu.Lock()
	defer more.mu.Unlock()
	if more.stop != nil {
		more.stop()
	}
	if !s.holding().calls.hasEnded() {
		more.stop = context.AfterFunc(ctx, func() { block.release(at) })
	}
}

// Detach unties the slot from its context: false if it was tied to none, or is released, or being released, by it.
func (s *Slot) Detach() bool {
	if s == nil {
		return false
	}
	defer runtime.KeepAlive(s)
	more := s.holding().more.Load()
	return more != nil && more.untie()
}

func (h *holding) needMore() *slotMore {
	if more := h.more.Load(); more != nil {
		return more
	}
	h.more.CompareAndSwap(nil, &slotMore{})
	return h.more.Load()
}

// isTied says whether a context releases it.
func (h *holding) isTied() bool {
	more := h.more.Load()
	if more == nil {
		return false
	}
	more.mu.Lock()
	defer more.mu.Unlock()
	return more.stop != nil
}

func (m *slotMore) untie() bool {
	m.mu.Lock()
	stop := m.stop
	m.stop = nil
	m.mu.Unlock()
	return stop != nil && stop()
}

// end is for a slot that is released.
func (m *slotMore) end() {
	m.untie()
	m.mu.Lock()
	bell, token := m.bell, m.token
	m.bell = nil
	m.mu.Unlock()
	if bell != nil {
		bell.remove(token)
		bell.release()
	}
}
