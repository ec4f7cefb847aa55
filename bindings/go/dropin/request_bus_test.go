package dropin

import (
	"fmt"
	"testing"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// The tests of the request event bus.

func TestRequestEventBus_Basic(t *testing.T) {
	bus := NewRequestBus(newBus(t, reqbus.BusOptions{}))
	bus.Publish(reqbus.RequestEvent{AccountID: 1})
	id, events := bus.Subscribe()
	bus.Publish(reqbus.RequestEvent{Method: "POST", AccountID: 2, Status: reqbus.RateLimited, Latency: 812 * time.Millisecond})
	got := receive(t, events)
	if id != 1 || got.AccountID != 2 || got.Method != "POST" || got.Status != reqbus.RateLimited || got.Latency.Milliseconds() != 812 {
		t.Fatalf("%d %+v", id, got)
	}
}

func TestRequestEventBus_FanOut(t *testing.T) {
	bus := NewRequestBus(newBus(t, reqbus.BusOptions{}))
	var all []<-chan reqbus.RequestEvent
	for range 10 {
		_, events := bus.Subscribe()
		all = append(all, events)
	}
	bus.Publish(reqbus.RequestEvent{AccountID: 1})
	bus.Publish(reqbus.RequestEvent{AccountID: 2})
	for _, events := range all {
		if one, two := receive(t, events), receive(t, events); one.AccountID != 1 || two.AccountID != 2 {
			t.Fatal(one, two)
		}
	}
}

func TestRequestEventBus_DropWhenFull(t *testing.T) {
	bus := NewRequestBus(newBus(t, reqbus.BusOptions{}))
	id, events := bus.Subscribe()
	for at := range 100 {
		bus.Publish(reqbus.RequestEvent{AccountID: int64(at)})
	}
	until(t, "all are shared out", func() bool { return bus.Dropped(id) == 36 })
	if len(events) != 64 {
		t.Fatal(len(events))
	}
	for at := range 64 {
		if got := receive(t, events); got.AccountID != int64(at) {
			t.Fatal(got)
		}
	}
}

func TestRequestEventBus_NilPublish(t *testing.T) {
	var bus *RequestBus
	bus.Publish(reqbus.RequestEvent{})
	(*reqbus.Bus)(nil).Publish(reqbus.RequestEvent{})
	NewRequestBus(nil).Publish(reqbus.RequestEvent{})
}

func TestRequestEventBus_CloseOnUnsubscribe(t *testing.T) {
	bus := NewRequestBus(newBus(t, reqbus.BusOptions{}))
	id, events := bus.Subscribe()
	bus.Publish(reqbus.RequestEvent{AccountID: 1})
	bus.Publish(reqbus.RequestEvent{AccountID: 2})
	bus.Unsubscribe(id)
	bus.Unsubscribe(id)
	bus.Unsubscribe(99)
	bus.Publish(reqbus.RequestEvent{AccountID: 3})
	var got []int64
	for event := range events {
		got = append(got, event.AccountID)
	}
	if fmt.Sprint(got) != "[1 2]" {
		t.Fatal(got)
	}
	if next, _ := bus.Subscribe(); next != 2 {
		t.Fatal("ids are not used again:", next)
	}
}

func TestRequestEventBus_ClosedBusClosesChannels(t *testing.T) {
	under := newBus(t, reqbus.BusOptions{})
	bus := NewRequestBus(under)
	_, events := bus.Subscribe()
	under.Close()
	for range events {
	}
	_, late := bus.Subscribe()
	bus.Publish(reqbus.RequestEvent{})
	for range late {
	}
}
