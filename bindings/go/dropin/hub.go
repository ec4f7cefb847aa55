package dropin

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

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
	// joining counts who is registering under a key; exclusive is closed when who registers alone has done so.
	joining   map[string]int
	exclusive map[string]chan struct{}

	// ExclusiveWait is how long [Hub.TryRegisterExclusive] waits for a cleanup; 3 s by default.
	ExclusiveWait time.Duration
}

// NewHub puts the face on a bus.
func NewHub(bus *reqbus.Bus) *Hub {
	return &Hub{
		bus: bus, subs: make(map[*reqbus.Subscription]string), guards: make(map[string]*reqbus.Guard),
		lasts: make(map[*reqbus.Subscription]bool), joining: make(map[string]int), exclusive: make(map[string]chan struct{}),
		ExclusiveWait: 3 * time.Second,
	}
}

// RegisterAndIsFirst subscribes to the event types (none: all) under an event key, and says whether it is the first of
// that. While the key is being cleaned up it waits, until ctx ends or for 5 s at most.
func (h *Hub) RegisterAndIsFirst(ctx context.Context, key string, types ...string) (*reqbus.Subscription, bool, error) {
	if err := h.beginJoin(ctx, key); err != nil {
		return nil, false, err
	}
	sub, err := h.join(ctx, key, types)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.joining[key]--; h.joining[key] == 0 {
		delete(h.joining, key)
	}
	if err != nil {
		return nil, false, err
	}
	return sub, sub.IsFirst(), nil
}

// beginJoin waits for one who registers alone, and counts who registers.
func (h *Hub) beginJoin(ctx context.Context, key string) error {
	for {
		h.mu.Lock()
		alone := h.exclusive[key]
		if alone == nil {
			h.joining[key]++
			h.mu.Unlock()
			return nil
		}
		h.mu.Unlock()
		select {
		case <-alone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (h *Hub) join(ctx context.Context, key string, types []string) (*reqbus.Subscription, error) {
	sub, err := h.bus.Subscribe(ctx, reqbus.SubscribeOptions{
		Audience: key, Kinds: types, Overflow: reqbus.DropOldest, Capacity: 100, Label: key, PID: os.Getpid(),
	})
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subs[sub] = key
	return sub, nil
}

// TryRegisterExclusive subscribes if nobody does under the key. While the key is being cleaned up it waits, until ctx ends
// or for 3 s at most. Without a subscription the reason says why: who is there, by its process, or that the wait was over.
func (h *Hub) TryRegisterExclusive(ctx context.Context, key string, types ...string) (sub *reqbus.Subscription, reason string) {
	alone := make(chan struct{})
	h.mu.Lock()
	if h.joining[key] > 0 || h.exclusive[key] != nil || h.bus.AudienceCount(key) > 0 {
		h.mu.Unlock()
		return nil, h.holder(key)
	}
	h.exclusive[key] = alone
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.exclusive, key)
		close(alone)
	}()
	ctx, cancel := context.WithTimeout(ctx, h.ExclusiveWait)
	defer cancel()
	sub, err := h.join(ctx, key, types)
	if err != nil {
		return nil, fmt.Sprintf("timed out waiting for %s to be free, retry shortly: %v", key, err)
	}
	return sub, ""
}

// holder says who subscribes under a key.
func (h *Hub) holder(key string) string {
	consumers, _ := h.bus.Consumers() // without a list nobody is named
	for _, consumer := range consumers {
		if consumer.Audience == key && !consumer.Closed {
			return fmt.Sprintf("%s is held by process %d", key, consumer.PID)
		}
	}
	return key + " is being taken by another"
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
