package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// The peers: what gateways write by hand today.

// requestEvent is the event of such a bus.
type requestEvent struct {
	Timestamp time.Time `json:"timestamp"`
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	Model     string    `json:"model"`
	AccountID int64     `json:"account_id"`
	Status    string    `json:"status"`
	LatencyMS int64     `json:"latency_ms"`
}

// channelBus is a lock around a map of channels of 64; a full one drops the event.
type channelBus struct {
	mu   sync.RWMutex
	next atomic.Uint64
	subs map[uint64]chan requestEvent
}

func newChannelBus() *channelBus { return &channelBus{subs: make(map[uint64]chan requestEvent)} }

func (b *channelBus) subscribe() (uint64, <-chan requestEvent) {
	id, events := b.next.Add(1), make(chan requestEvent, 64)
	b.mu.Lock()
	b.subs[id] = events
	b.mu.Unlock()
	return id, events
}

func (b *channelBus) unsubscribe(id uint64) {
	b.mu.Lock()
	events := b.subs[id]
	delete(b.subs, id)
	b.mu.Unlock()
	if events != nil {
		close(events)
	}
}

func (b *channelBus) publish(event requestEvent) {
	b.mu.RLock()
	for _, events := range b.subs {
		select {
		case events <- event:
		default:
		}
	}
	b.mu.RUnlock()
}

// pollingSlots counts slots, and lets who finds none try again after a backoff.
type pollingSlots struct {
	mu    sync.Mutex
	inUse int
	limit int
}

func (s *pollingSlots) try() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inUse >= s.limit {
		return false
	}
	s.inUse++
	return true
}

func (s *pollingSlots) release() {
	s.mu.Lock()
	s.inUse--
	s.mu.Unlock()
}

func (s *pollingSlots) acquire(ctx context.Context) error {
	backoff := 100 * time.Millisecond
	for !s.try() {
		timer := time.NewTimer(backoff)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		backoff = min(backoff*3/2, 2*time.Second)
		backoff = time.Duration(float64(backoff) * (0.8 + 0.4*rand.Float64()))
		backoff = min(max(backoff, 100*time.Millisecond), 2*time.Second)
	}
	return nil
}
