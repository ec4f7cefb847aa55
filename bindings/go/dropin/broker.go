package dropin

import (
	"context"
	"sync"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// How many events wait in a channel of [Broker].
const brokerBuffer = 256

// Broker replays what came after an event id, and goes on live: each event once, by replay or by channel. A full channel
// gives up its oldest event, which is counted.
type Broker struct {
	bus *reqbus.Bus

	mu   sync.Mutex
	subs map[<-chan *reqbus.Event]*brokerSub
}

type brokerSub struct {
	sub     *reqbus.Subscription
	events  chan *reqbus.Event
	stop    context.CancelFunc
	mu      sync.Mutex
	dropped uint64
}

// NewBroker puts the face on a bus.
func NewBroker(bus *reqbus.Bus) *Broker {
	return &Broker{bus: bus, subs: make(map[<-chan *reqbus.Event]*brokerSub)}
}

// Epoch is the first half of all event ids.
func (b *Broker) Epoch() uint64 { return b.bus.Epoch() }

// Subscribe gives the events after lastID up to now, oldest first, and a channel for those that follow. needResync: lastID
// is empty, no id, of another epoch, ahead, or too old, so that the client must fetch everything anew; the channel is live
// all the same. Replay and resync never come together. The error is of a closed bus.
func (b *Broker) Subscribe(lastID string) (replay []*reqbus.Event, needResync bool, live <-chan *reqbus.Event, err error) {
	sub, err := b.bus.Subscribe(context.Background(), reqbus.SubscribeOptions{
		Start: reqbus.After, After: lastID, Overflow: reqbus.CatchUp, Label: "broker",
	})
	if err != nil {
		return nil, false, nil, err
	}
	joined := b.bus.Newest().Seq
	ctx, stop := context.WithCancel(context.Background())
	s := &brokerSub{sub: sub, events: make(chan *reqbus.Event, brokerBuffer), stop: stop}
	for sub.Settled().Seq < joined || replay == nil && !needResync {
		batch, _ := sub.TryBatch(reqbus.ReadLimits{})
		if batch == nil {
			break
		}
		for _, item := range batch.Items {
			switch item := item.(type) {
			case *reqbus.Event:
				if item.ID.Seq <= joined {
					replay = append(replay, item)
				} else {
					s.put(item)
				}
			case reqbus.Resync:
				needResync = true
			case reqbus.Lost:
				// The log let go of what was to be replayed, between two reads.
				needResync, replay = true, nil
			}
		}
	}
	b.mu.Lock()
	b.subs[s.events] = s
	b.mu.Unlock()
	go s.fill(ctx)
	return replay, needResync, s.events, nil
}

func (s *brokerSub) fill(ctx context.Context) {
	defer close(s.events)
	for {
		batch, err := s.sub.NextBatch(ctx)
		if err != nil {
			return
		}
		for _, item := range batch.Items {
			switch item := item.(type) {
			case *reqbus.Event:
				s.put(item)
			case reqbus.Lost:
				s.count(item.Missed)
			}
		}
	}
}

// put adds an event, in place of the oldest if there is no room.
func (s *brokerSub) put(event *reqbus.Event) {
	for {
		select {
		case s.events <- event:
			return
		default:
		}
		select {
		case <-s.events:
			s.count(1)
		default: // the reader was quicker
		}
	}
}

func (s *brokerSub) count(missed uint64) {
	s.mu.Lock()
	s.dropped += missed
	s.mu.Unlock()
}

// Unsubscribe closes the channel. One that is none, or a second call, does nothing.
func (b *Broker) Unsubscribe(live <-chan *reqbus.Event) {
	b.mu.Lock()
	s := b.subs[live]
	delete(b.subs, live)
	b.mu.Unlock()
	if s != nil {
		s.stop()
		s.sub.Close()
	}
}

// Dropped is how many events a slow reader lost from its channel.
func (b *Broker) Dropped(live <-chan *reqbus.Event) uint64 {
	b.mu.Lock()
	s := b.subs[live]
	b.mu.Unlock()
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}
