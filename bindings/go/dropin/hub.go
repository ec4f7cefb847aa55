package dropin

import (
	"context"
	"sync"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// Hub counts the subscribers of each event key: who comes first sets up what the key needs, and who goes last tears it
// down, while newcomers wait.
type Hub struct {
	bus *reqbus.Bus

	mu     sync.Mutex
	subs   map[*reqbus.Subscription]string
	guards map[string]*reqbus.Guard
	// lasts left by way of the cleanup lock, and are told so when they unregister.
	lasts map[*reqbus.Subscription]bool
}

// NewHub puts the face on a bus.
func NewHub(bus *reqbus.Bus) *Hub {
	return &Hub{
		bus: bus, subs: make(map[*reqbus.Subscription]string), guards: make(map[string]*reqbus.Guard),
		lasts: make(map[*reqbus.Subscription]bool),
	}
}

// RegisterAndIsFirst subscribes to the event types (none: all) under an event key, and says whether it is the first of
// that. While the key is being cleaned up it waits, until ctx ends or for 5 s at most.
func (h *Hub) RegisterAndIsFirst(ctx context.Context, key string, types ...string) (*reqbus.Subscription, bool, error) {
	sub, err := h.bus.Subscribe(ctx, reqbus.SubscribeOptions{
		Audience: key, Kinds: types, Overflow: reqbus.DropOldest, Capacity: 100, Label: key,
	})
	if err != nil {
		return nil, false, err
	}
	h.mu.Lock()
	h.subs[sub] = key
	h.mu.Unlock()
	return sub, sub.IsFirst(), nil
}

// UnregisterAndIsLast ends a subscription, and says whether it was the last of its key. A second call, or one that was
// never registered, says false and changes nothing.
func (h *Hub) UnregisterAndIsLast(sub *reqbus.Subscription) bool {
	h.mu.Lock()
	_, isKnown := h.subs[sub]
	wasLast := h.lasts[sub]
	delete(h.subs, sub)
	delete(h.lasts, sub)
	h.mu.Unlock()
	if !isKnown {
		return false
	}
	sub.Close()
	return wasLast || sub.WasLast()
}

// AcquireCleanupLock is true if the key has exactly one subscriber and no lock is held: that one may clean up, and
// newcomers wait until [Hub.ReleaseCleanupLock], 30 s at most.
func (h *Hub) AcquireCleanupLock(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for sub, of := range h.subs {
		if of != key {
			continue
		}
		guard, isTaken := sub.CleanupGuard()
		if isTaken {
			h.guards[key] = guard
			h.lasts[sub] = true
		}
		return isTaken
	}
	return false
}

// ReleaseCleanupLock admits newcomers, the earliest as first. Idempotent.
func (h *Hub) ReleaseCleanupLock(key string) {
	h.mu.Lock()
	guard := h.guards[key]
	delete(h.guards, key)
	h.mu.Unlock()
	if guard != nil {
		guard.Release()
	}
}

// EventKeyCount is how many subscribe under a key.
func (h *Hub) EventKeyCount(key string) int { return h.bus.AudienceCount(key) }

// ConnCount is how many are registered.
func (h *Hub) ConnCount() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs)
}
