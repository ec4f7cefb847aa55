//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape reqbus_guard_abort
#cgo nocallback reqbus_guard_abort
#cgo noescape reqbus_guard_free
#cgo nocallback reqbus_guard_free
#cgo noescape reqbus_guard_is_expired
#cgo nocallback reqbus_guard_is_expired
#cgo noescape reqbus_guard_release
#cgo nocallback reqbus_guard_release
#cgo noescape reqbus_subscription_cleanup_guard
#cgo nocallback reqbus_subscription_cleanup_guard
*/
import "C"

import (
	"runtime"
	"sync"
)

// Guard is a cleanup guard of an audience: newcomers wait while it is held, at most 30 seconds.
type Guard struct {
	mu   sync.Mutex
	core *guardCore
}

type guardCore struct{ native *C.reqbus_guard }

func (c *guardCore) free() { C.reqbus_guard_free(&c.native) }

// CleanupGuard takes the cleanup guard, if the subscription is the sole member of its audience: its membership ends, it was
// the last, and newcomers wait till the guard is released. false if there are other members, or no audience.
func (s *Subscription) CleanupGuard() (*Guard, bool) {
	defer runtime.KeepAlive(s)
	if !s.core.calls.enter() {
		return nil, false
	}
	defer s.core.leave()
	core := &guardCore{}
	if C.reqbus_subscription_cleanup_guard(s.core.native, &core.native) != C.REQBUS_OK {
		return nil, false
	}
	guard := &Guard{core: core}
	runtime.AddCleanup(guard, (*guardCore).free, core)
	return guard, true
}

// Release ends the cleanup and admits newcomers, the earliest as first. inForce is false if the guard was over its limit,
// so that newcomers may have joined before, or was released already.
func (g *Guard) Release() (inForce bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer runtime.KeepAlive(g)
	var answer C.int32_t
	C.reqbus_guard_release(&g.core.native, &answer)
	return yes(answer)
}

// Abort gives the membership back instead. isMember is false if that was too late; then it was a release.
func (g *Guard) Abort() (isMember bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer runtime.KeepAlive(g)
	var answer C.int32_t
	C.reqbus_guard_abort(&g.core.native, &answer)
	return yes(answer)
}

// IsExpired says whether it was held for longer than its 30 seconds, so that newcomers were admitted meanwhile.
func (g *Guard) IsExpired() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer runtime.KeepAlive(g)
	var answer C.int32_t
	C.reqbus_guard_is_expired(g.core.native, &answer)
	return yes(answer)
}

// Close is Release.
func (g *Guard) Close() error {
	g.Release()
	return nil
}
