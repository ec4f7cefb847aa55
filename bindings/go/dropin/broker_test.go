package dropin

import (
	"strings"
	"sync"
	"testing"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// The tests of the broker.

func TestBroker_NeedsResync(t *testing.T) {
	bus := newBus(t, reqbus.BusOptions{LogEvents: 100})
	publish(t, bus, 150)
	broker := NewBroker(bus)
	epoch, _, _ := strings.Cut(idAt(bus, 0), "-")
	for name, id := range map[string]string{
		"no header": "", "no dash": "12", "no number": "x-1", "another epoch": "0123456789abcdef-1", "no seq": epoch + "-x",
		"extra parts": epoch + "-1-2", "negative": epoch + "--1", "too large": epoch + "-99999999999999999999",
		"future": idAt(bus, 100_000), "2^64-1": epoch + "-18446744073709551615", "fell off by count": idAt(bus, 3),
	} {
		replay, needResync, live, err := broker.Subscribe(id)
		if err != nil || !needResync || len(replay) != 0 {
			t.Errorf("%s: %d events, %v, %v", name, len(replay), needResync, err)
		}
		publish(t, bus, 1)
		if got := receive(t, live); got.ID != bus.Newest() {
			t.Errorf("%s: %v", name, got.ID)
		}
		broker.Unsubscribe(live)
	}
}

func TestBroker_ReplaysTheTailInOrder(t *testing.T) {
	bus := newBus(t, reqbus.BusOptions{})
	publish(t, bus, 10)
	broker := NewBroker(bus)
	replay, needResync, live, err := broker.Subscribe(idAt(bus, 4))
	if err != nil || needResync || len(replay) != 6 {
		t.Fatal(len(replay), needResync, err)
	}
	for at, event := range replay {
		if event.ID.Seq != uint64(5+at) {
			t.Fatal(event.ID)
		}
	}
	publish(t, bus, 1)
	if got := receive(t, live); got.ID.Seq != 11 {
		t.Fatal(got.ID)
	}
	replay, needResync, _, err = broker.Subscribe(idAt(bus, 11))
	if err != nil || needResync || len(replay) != 0 {
		t.Fatal("last = newest:", len(replay), needResync, err)
	}
}

func TestBroker_ExactlyOnceWhilePublishing(t *testing.T) {
	const count = 20_000
	bus := newBus(t, reqbus.BusOptions{LogEvents: count, LogBytes: 64 << 20})
	publish(t, bus, 1)
	broker := NewBroker(bus)
	var publisher sync.WaitGroup
	publisher.Add(1)
	go func() {
		defer publisher.Done()
		publish(t, bus, count-1)
	}()
	for range 20 {
		replay, needResync, live, err := broker.Subscribe(idAt(bus, 1))
		if err != nil || needResync {
			t.Fatal(needResync, err)
		}
		next := uint64(2)
		for _, event := range replay {
			if event.ID.Seq != next {
				t.Fatal(event.ID, next)
			}
			next++
		}
		for range 50 {
			if next > count {
				break
			}
			if event := receive(t, live); event.ID.Seq != next && broker.Dropped(live) == 0 {
				t.Fatal(event.ID, next)
			}
			next++
		}
		broker.Unsubscribe(live)
	}
	publisher.Wait()
}

func TestBroker_AFullSubscriberKeepsTheNewest256(t *testing.T) {
	bus := newBus(t, reqbus.BusOptions{})
	broker := NewBroker(bus)
	_, _, live, err := broker.Subscribe("")
	if err != nil {
		t.Fatal(err)
	}
	publish(t, bus, 300)
	until(t, "44 dropped", func() bool { return broker.Dropped(live) == 44 })
	if got := receive(t, live); got.ID.Seq != 45 {
		t.Fatal(got.ID)
	}
}

func TestBroker_FellOffByCount(t *testing.T) {
	bus := newBus(t, reqbus.BusOptions{})
	publish(t, bus, 2002)
	broker := NewBroker(bus)
	if _, needResync, _, err := broker.Subscribe(idAt(bus, 1)); err != nil || !needResync {
		t.Fatal("the second is gone:", err)
	}
	if replay, needResync, _, err := broker.Subscribe(idAt(bus, 2)); err != nil || needResync || len(replay) != 2000 {
		t.Fatal("all 2,000 are there:", len(replay), needResync, err)
	}
}

func TestBroker_FellOffByAge(t *testing.T) {
	bus := newBus(t, reqbus.BusOptions{ResumeAge: time.Millisecond})
	publish(t, bus, 2)
	broker := NewBroker(bus)
	until(t, "what came after the first is too old", func() bool {
		replay, needResync, live, err := broker.Subscribe(idAt(bus, 1))
		if err != nil || needResync == (len(replay) == 1) {
			t.Fatal(len(replay), needResync, err)
		}
		broker.Unsubscribe(live)
		return needResync
	})
	if _, needResync, _, err := broker.Subscribe(idAt(bus, 2)); err != nil || needResync {
		t.Fatal("nothing came after the newest:", err)
	}
}

func TestBroker_UnsubscribeTwice(t *testing.T) {
	bus := newBus(t, reqbus.BusOptions{})
	broker := NewBroker(bus)
	_, _, live, _ := broker.Subscribe("")
	broker.Unsubscribe(live)
	broker.Unsubscribe(live)
	broker.Unsubscribe(nil)
	for range live {
	}
	if count := bus.Stats().Subscriptions; count != 0 {
		t.Fatal(count)
	}
}
