package dropin

import (
	"context"
	"errors"
	"sync"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// How many events wait in a channel of [RequestBus].
const requestBuffer = 64

// RequestBus hands finished requests to channels of 64; when one is full, the newest event is dropped for it, and counted.
// A publisher pays for the bus alone, however many subscribe: one goroutine fills the channels.
type RequestBus struct {
	bus *reqbus.Bus

	mu       sync.Mutex
	channels map[uint64]*requestChannel
	next     uint64
	sub      *reqbus.Subscription
}

type requestChannel struct {
	events  chan reqbus.RequestEvent
	joined  uint64 // the newest event when it subscribed
	dropped uint64
}

// NewRequestBus puts the face on a bus. Its goroutine begins with the first subscriber and ends with the bus.
func NewRequestBus(bus *reqbus.Bus) *RequestBus {
	return &RequestBus{bus: bus, channels: make(map[uint64]*requestChannel)}
}

// Publish publishes a finished request. A nil RequestBus does nothing.
func (b *RequestBus) Publish(event reqbus.RequestEvent) {
	if b != nil {
		_ = b.bus.Publish(event) // what is refused has no reader
	}
}

// Subscribe gives an id and a channel, on which come the requests that finish from now on. The channel of a closed bus is
// closed.
func (b *RequestBus) Subscribe() (uint64, <-chan reqbus.RequestEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	channel := &requestChannel{events: make(chan reqbus.RequestEvent, requestBuffer)}
	if b.sub == nil && !b.begin() {
		close(channel.events)
		return b.next, channel.events
	}
	channel.joined = b.bus.Newest().Seq
	b.channels[b.next] = channel
	return b.next, channel.events
}

// begin starts the goroutine.
func (b *RequestBus) begin() bool {
	sub, err := b.bus.Subscribe(context.Background(), reqbus.SubscribeOptions{
		Overflow: reqbus.CatchUp, Kinds: []string{"request"}, Label: "request channels",
	})
	if err != nil {
		return false
	}
	b.sub = sub
	go b.fill(sub)
	return true
}

func (b *RequestBus) fill(sub *reqbus.Subscription) {
	for {
		batch, err := sub.NextBatch(context.Background())
		b.mu.Lock()
		if err != nil {
			for id, channel := range b.channels {
				close(channel.events)
				delete(b.channels, id)
			}
			b.sub = nil // who comes now learns of the end by a subscription of its own
			b.mu.Unlock()
			sub.Close()
			return
		}
		b.share(batch)
		b.mu.Unlock()
	}
}

// share puts a batch into all channels.
func (b *RequestBus) share(batch *reqbus.Batch) {
	for _, item := range batch.Items {
		switch item := item.(type) {
		case *reqbus.Event:
			for _, channel := range b.channels {
				channel.put(item)
			}
		case reqbus.Lost:
			for _, channel := range b.channels {
				channel.dropped += item.Missed
			}
		}
	}
}

func (c *requestChannel) put(event *reqbus.Event) {
	if event.Request == nil || event.ID.Seq <= c.joined {
		return
	}
	select {
	case c.events <- *event.Request:
	default:
		c.dropped++
	}
}

// Unsubscribe closes the channel; what is in it is still read. An id that is none, or a second call, does nothing.
func (b *RequestBus) Unsubscribe(id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	channel := b.channels[id]
	if channel == nil {
		return
	}
	// What was published before this call is in the channel when it is closed.
	for {
		batch, err := b.sub.TryBatch(reqbus.ReadLimits{})
		if batch == nil || err != nil && !errors.Is(err, reqbus.ErrClosed) {
			break
		}
		b.share(batch)
	}
	delete(b.channels, id)
	close(channel.events)
}

// Dropped is how many events the subscriber did not get because its channel was full.
func (b *RequestBus) Dropped(id uint64) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if channel := b.channels[id]; channel != nil {
		return channel.dropped
	}
	return 0
}
