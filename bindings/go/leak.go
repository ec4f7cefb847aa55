//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_leaks_release
#cgo nocallback rb_leaks_release
#cgo noescape rb_leaks_take
#cgo nocallback rb_leaks_take
#cgo noescape reqbus_pool_leaked
#cgo nocallback reqbus_pool_leaked
*/
import "C"

import (
	"runtime"
	"sync"
	"time"
	"unsafe"
	"weak"
)

// Leak is a slot that was collected without a release, as [PoolOptions.OnLeak] is told of each key it held.
type Leak struct {
	// Key is what was held.
	Key Key
	// Label is what its host had called the holder.
	Label string
	// Age is how long it was held.
	Age time.Duration
}

// leaks is how a pool finds slots that nobody has any more.
type leaks struct {
	mu     sync.Mutex
	blocks []*slotBlock
	// tick is collected with the next garbage collection: while it lives, there is nothing new to find.
	tick weak.Pointer[gcTick]
	// isWatching: a clean-up looks after the next collection, because somebody waits.
	isWatching bool
}

// gcTick must not be so small that it shares its block of memory with something that lives.
type gcTick struct{ _ [4]uint64 }

// Leaked is how many slots were collected without a release so far. It looks for more first.
func (p *Pool) Leaked() uint64 {
	if p == nil {
		return 0
	}
	defer runtime.KeepAlive(p)
	p.core.sweep()
	var count C.uint64_t
	C.reqbus_pool_leaked(p.core.handle(), &count)
	p.core.tell()
	return uint64(count)
}

// sweepIfDue looks for leaks if a garbage collection was since the last look. Cheap if not.
func (c *poolCore) sweepIfDue() {
	c.leaks.mu.Lock()
	isDue := c.leaks.tick.Value() == nil
	if isDue {
		c.leaks.tick = weak.Make(new(gcTick))
	}
	c.leaks.mu.Unlock()
	if isDue {
		c.sweep()
	}
}

// sweep finds the slots that nobody has any more, and has the library release and tell them.
func (c *poolCore) sweep() {
	c.leaks.mu.Lock()
	// What was handed out of the place under way is found too, once it is collected.
	c.place.Store(nil)
	found := 0
	kept := c.leaks.blocks[:0]
	for _, block := range c.leaks.blocks {
		isDone := false
		if block.slots.Value() == nil {
			var leaked int
			leaked, isDone = block.reap()
			found += leaked
		}
		if !isDone {
			block.index = len(kept)
			kept = append(kept, block)
		}
	}
	clear(c.leaks.blocks[len(kept):])
	c.leaks.blocks = kept
	if found > 0 && !c.isFreed.Load() {
		var count C.uint64_t
		C.reqbus_pool_leaked(c.native, &count)
	}
	c.leaks.mu.Unlock()
	if found > 0 {
		c.tell()
		c.look()
	}
}

// tell gives the host what the library told.
func (c *poolCore) tell() {
	if c.onLeak == nil {
		return
	}
	c.leaks.mu.Lock()
	var first *C.rb_leak
	if c.told != nil {
		first = C.rb_leaks_take(c.told)
	}
	c.leaks.mu.Unlock()
	var all []Leak
	for native := first; native != nil; {
		texts := unsafe.Pointer(uintptr(unsafe.Pointer(native)) + C.sizeof_rb_leak)
		text := func(n C.size_t) string {
			text := goText((*C.char)(texts), n)
			texts = unsafe.Add(texts, int(n))
			return text
		}
		leak := Leak{Age: nanos(native.age_ns)}
		leak.Key.Scope, leak.Key.ID, leak.Label = text(native.scope_len), text(native.id_len), text(native.label_len)
		all = append(all, leak)
		next := native.next
		C.free(unsafe.Pointer(native))
		native = next
	}
	// The list is a stack: the latest is first.
	for at := len(all) - 1; at >= 0; at-- {
		c.onLeak(all[at])
	}
}

// watch looks for leaks after the next garbage collection, and goes on for as long as somebody waits for a slot: nobody
// else may call the pool meanwhile. Of a pool that is gone, until its slots are.
func (c *poolCore) watch() {
	c.leaks.mu.Lock()
	defer c.leaks.mu.Unlock()
	if !c.leaks.isWatching && c.isWatched() {
		c.leaks.isWatching = true
		runtime.AddCleanup(new(gcTick), (*poolCore).watched, c)
	}
}

func (c *poolCore) isWatched() bool {
	return c.waiting.Load() > 0 || c.isFreed.Load() && len(c.leaks.blocks) > 0
}

func (c *poolCore) watched() {
	c.sweep()
	c.leaks.mu.Lock()
	c.leaks.isWatching = false
	c.leaks.mu.Unlock()
	c.letGo()
	c.watch()
}

// letGo ends it for a pool that is gone, when its slots are too.
func (c *poolCore) letGo() {
	c.leaks.mu.Lock()
	isOver := c.isFreed.Load() && len(c.leaks.blocks) == 0 && c.told != nil
	c.leaks.mu.Unlock()
	if !isOver {
		return
	}
	c.tell()
	c.leaks.mu.Lock()
	defer c.leaks.mu.Unlock()
	C.rb_leaks_release(c.told)
	c.told = nil
}
