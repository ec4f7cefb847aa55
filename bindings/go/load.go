//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_change_key
#cgo nocallback rb_change_key
#cgo noescape rb_holder
#cgo nocallback rb_holder
#cgo noescape rb_holders
#cgo nocallback rb_holders
#cgo noescape rb_load
#cgo nocallback rb_load
#cgo noescape reqbus_holders_free
#cgo nocallback reqbus_holders_free
#cgo noescape reqbus_holders_len
#cgo nocallback reqbus_holders_len
#cgo noescape reqbus_pool_held_longer_than
#cgo nocallback reqbus_pool_held_longer_than
*/
import "C"

import (
	"context"
	"runtime"
	"time"
	"unsafe"
)

// SetLimit sets a limit that wins over those of calls until it is cleared. A higher one is offered to those who wait at
// once; under a lower one in use falls as slots are released.
func (p *Pool) SetLimit(ctx context.Context, key Key, limit Limit) error {
	_, err := p.change(ctx, C.RB_SET_LIMIT, key, int64(limit))
	return err
}

// ClearLimit lets the limits of calls decide again.
func (p *Pool) ClearLimit(ctx context.Context, key Key) error {
	_, err := p.change(ctx, C.RB_CLEAR_LIMIT, key, 0)
	return err
}

// CloseKey refuses who waits for the key, and newcomers, with [ErrClosed], until OpenKey. Holders keep their slots.
func (p *Pool) CloseKey(ctx context.Context, key Key) error {
	_, err := p.change(ctx, C.RB_CLOSE_KEY, key, 0)
	return err
}

// OpenKey opens a closed key.
func (p *Pool) OpenKey(ctx context.Context, key Key) error {
	_, err := p.change(ctx, C.RB_OPEN_KEY, key, 0)
	return err
}

// Force takes a slot of key away from its holder, whose number is in lists of holders; it is told that its slot is lost.
// It tells whether it was held.
func (p *Pool) Force(ctx context.Context, key Key, holder uint64) (wasHeld bool, err error) {
	return p.change(ctx, C.RB_FORCE, key, int64(holder))
}

func (p *Pool) change(ctx context.Context, what C.int, key Key, number int64) (bool, error) {
	if err := p.begin(ctx); err != nil {
		return false, err
	}
	defer runtime.KeepAlive(p)
	var native *C.reqbus_bell
	b := p.core.bell.open()
	if b != nil && b.retain() {
		native = b.native
		defer b.release()
	}
	var tokens C.rb_tokens
	var wasHeld C.int32_t
	var failed *C.reqbus_error
	status := C.rb_change_key(what, p.core.handle(), cstr(key.Scope), clen(key.Scope), cstr(key.ID), clen(key.ID),
		C.int64_t(number), p.core.timeoutMS, &wasHeld, native, &tokens, &failed)
	if native != nil {
		b.wakeAll(&tokens)
	}
	return yes(wasHeld), takeError(status, failed)
}

// begin is what calls begin with that may reach a store. Memory, the only store so far, answers at once.
func (p *Pool) begin(ctx context.Context) error {
	if p == nil {
		return nobody()
	}
	return ctx.Err()
}

// Load is how a key stands. All zero, but for the limit, for a key that is not known.
type Load struct {
	// InUse counts slots in use, those on offer included.
	InUse int
	// Waiting counts waiters in its queue.
	Waiting int
	// Lapsed counts those of them whose offer lapsed: each gets no other until its owner looks, and keeps nobody out.
	Lapsed int
	// Limit is [NotGiven] for a key that has none yet.
	Limit Limit
	// Rate is (in use + waiting) * 100 / limit, which may pass 100; 0 without a limit, or with limit 0.
	Rate uint64
	// OldestWait is how long the first in its queue has waited; 0 if nobody waits.
	OldestWait time.Duration
	// OldestHold is how long its oldest holder has held; 0 if nobody holds.
	OldestHold time.Duration
	// IsClosed: it was closed.
	IsClosed bool
	// HasRoom: a newcomer would get a slot now.
	HasRoom bool
}

// Load tells how keys stand, in their order.
func (p *Pool) Load(ctx context.Context, keys ...Key) ([]Load, error) {
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	defer runtime.KeepAlive(p)
	p.core.sweepIfDue()
	natives := make([]C.reqbus_load, len(keys))
	if err := p.load(keys, unsafe.SliceData(natives), nil); err != nil {
		return nil, err
	}
	loads := make([]Load, len(keys))
	for at, native := range natives {
		loads[at] = Load{
			InUse: int(native.in_use), Waiting: int(native.waiting), Limit: Limit(native.limit), Rate: uint64(native.rate),
			OldestWait: nanos(native.oldest_wait_ns), OldestHold: nanos(native.oldest_hold_ns),
			Lapsed: int(native.lapsed), IsClosed: native.closed == 1, HasRoom: native.has_room == 1,
		}
	}
	return loads, nil
}

// OrderByLoad gives the indices of keys, the least loaded first, of equal ones in the caller's order: what an account
// scheduler asks for. Keys without a limit count as not loaded.
func (p *Pool) OrderByLoad(ctx context.Context, keys ...Key) ([]int, error) {
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	defer runtime.KeepAlive(p)
	natives := make([]C.size_t, len(keys)+1)
	if err := p.load(keys, nil, unsafe.SliceData(natives)); err != nil {
		return nil, err
	}
	order := make([]int, len(keys))
	for at := range order {
		order[at] = int(natives[at])
	}
	return order, nil
}

func (p *Pool) load(keys []Key, loads *C.reqbus_load, order *C.size_t) error {
	var texts packed
	for _, key := range keys {
		texts.add(key.Scope)
		texts.add(key.ID)
	}
	var failed *C.reqbus_error
	status := C.rb_load(p.core.handle(), texts.text(), texts.sizes(), C.size_t(len(keys)), loads, order, p.core.timeoutMS,
		&failed)
	return takeError(status, failed)
}

// Holder is one who holds a slot.
type Holder struct {
	// Number is for [Pool.Force].
	Number uint64
	// Key is what it holds. Its id may be a secret.
	Key Key
	// Label is what its host called it.
	Label string
	// Age is for how long it has held, to a few milliseconds.
	Age time.Duration
}

// Holders lists who holds slots of key, oldest first.
func (p *Pool) Holders(ctx context.Context, key Key) ([]Holder, error) {
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	defer runtime.KeepAlive(p)
	p.core.sweepIfDue()
	var list *C.reqbus_holders
	var failed *C.reqbus_error
	status := C.rb_holders(p.core.handle(), cstr(key.Scope), clen(key.Scope), cstr(key.ID), clen(key.ID), p.core.timeoutMS,
		&list, &failed)
	if status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	return takeHolders(list), nil
}

// HeldLongerThan lists who has held a slot of any key for at least age: suspects. It frees nothing.
func (p *Pool) HeldLongerThan(ctx context.Context, age time.Duration) ([]Holder, error) {
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	defer runtime.KeepAlive(p)
	p.core.sweepIfDue()
	var list *C.reqbus_holders
	var failed *C.reqbus_error
	status := C.reqbus_pool_held_longer_than(p.core.handle(), C.uint64_t(milliseconds(age)), p.core.timeoutMS, &list, &failed)
	if status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	return takeHolders(list), nil
}

// takeHolders copies a list and frees it.
func takeHolders(list *C.reqbus_holders) []Holder {
	defer C.reqbus_holders_free(&list)
	all := make([]Holder, int(C.reqbus_holders_len(list)))
	for at := range all {
		var h C.reqbus_holder
		C.rb_holder(list, C.size_t(at), &h)
		all[at] = Holder{
			Number: uint64(h.holder), Label: goText(h.label, h.label_len), Age: nanos(h.age_ns),
			Key: Key{Scope: goText(h.scope, h.scope_len), ID: goText(h.id, h.id_len)},
		}
	}
	return all
}
