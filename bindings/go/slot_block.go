//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape reqbus_slot_leak
#cgo nocallback reqbus_slot_leak
*/
import "C"

import (
	"sync/atomic"
	"weak"
)

// How many slots are made at a time.
const blockSize = 32

// slotBlock holds the native handles of some slots. The pool keeps the block until all of them are released; the slots
// themselves are kept by their holders alone, and the block knows them weakly: when all slots of a block are unreachable,
// what they have not released leaked. So finding leaks costs a slot a share of one weak pointer, and no clean-up of its own.
type slotBlock struct {
	holdings [blockSize]holding
	pool     *poolCore
	slots    weak.Pointer[[blockSize]Slot]
	used     atomic.Int32
	ended    atomic.Int32
	index    int // in the pool's list, under its lock
}

// place is where a pool takes its next slot: a block and its slots, until it is used up.
type place struct {
	block *slotBlock
	slots *[blockSize]Slot
}

// slotOf makes a slot of a native one.
func (c *poolCore) slotOf(native *C.reqbus_slot) *Slot {
	for {
		if p := c.place.Load(); p != nil {
			if at := p.block.used.Add(1) - 1; at < blockSize {
				p.block.holdings[at].native = native
				slot := &p.slots[at]
				slot.block, slot.at = p.block, uint8(at)
				return slot
			}
			c.place.CompareAndSwap(p, nil)
			c.sweepIfDue()
		}
		c.newPlace()
	}
}

func (c *poolCore) newPlace() {
	c.leaks.mu.Lock()
	defer c.leaks.mu.Unlock()
	if c.place.Load() != nil {
		return
	}
	p := &place{block: &slotBlock{pool: c}, slots: new([blockSize]Slot)}
	p.block.slots = weak.Make(p.slots)
	p.block.index = len(c.leaks.blocks)
	c.leaks.blocks = append(c.leaks.blocks, p.block)
	c.place.Store(p)
}

// noteEnd counts a slot that can leak no more. The last of a block takes it off the list: what is not there, the collector
// does not look at.
func (k *slotBlock) noteEnd() {
	if k.ended.Add(1) < blockSize {
		return
	}
	l := &k.pool.leaks
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.blocks) - 1
	if k.index <= last && l.blocks[k.index] == k {
		l.blocks[last].index = k.index
		l.blocks[k.index] = l.blocks[last]
		l.blocks[last] = nil
		l.blocks = l.blocks[:last]
	}
}

// reap gives the handles of a block's slots that nobody has any more to the library, as leaked. Whether nothing is left
// in the block that a context will still release.
func (k *slotBlock) reap() (leaked int, isDone bool) {
	isDone = true
	for at := range min(int(k.used.Load()), blockSize) {
		h := &k.holdings[at]
		if h.calls.hasEnded() {
			continue
		}
		if h.isTied() {
			isDone = false
			continue
		}
		if h.leak() {
			leaked++
		}
	}
	return leaked, isDone
}

// leak gives the handle to the library as that of a slot which nobody has any more.
func (h *holding) leak() bool {
	if !h.calls.own() {
		return false
	}
	C.reqbus_slot_leak(&h.native)
	if more := h.more.Load(); more != nil {
		more.end()
	}
	return true
}
