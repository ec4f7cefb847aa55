package dropin

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// The tests of the hub.

func TestHub_RegisterAndIsFirst_Concurrent(t *testing.T) {
	hub := NewHub(newBus(t, reqbus.BusOptions{}))
	var firsts, lasts atomic.Int64
	var all sync.WaitGroup
	subs := make([]*reqbus.Subscription, 200)
	for at := range subs {
		all.Add(1)
		go func() {
			defer all.Done()
			sub, isFirst, err := hub.RegisterAndIsFirst(soon(t), "key")
			if err != nil {
				t.Error(err)
			}
			if subs[at] = sub; isFirst {
				firsts.Add(1)
			}
		}()
	}
	all.Wait()
	if firsts.Load() != 1 || hub.EventKeyCount("key") != 200 || hub.ConnCount() != 200 {
		t.Fatal(firsts.Load(), hub.EventKeyCount("key"), hub.ConnCount())
	}
	for _, sub := range subs {
		all.Add(1)
		go func() {
			defer all.Done()
			if hub.UnregisterAndIsLast(sub) {
				lasts.Add(1)
			}
		}()
	}
	all.Wait()
	if lasts.Load() != 1 || hub.EventKeyCount("key") != 0 || hub.ConnCount() != 0 {
		t.Fatal(lasts.Load(), hub.EventKeyCount("key"))
	}
}

func TestHub_Unregister_NeverRegisteredAndTwice(t *testing.T) {
	bus := newBus(t, reqbus.BusOptions{})
	hub := NewHub(bus)
	ghost, _ := bus.Subscribe(soon(t), reqbus.SubscribeOptions{})
	sub, isFirst, err := hub.RegisterAndIsFirst(soon(t), "key")
	if err != nil || !isFirst || hub.UnregisterAndIsLast(ghost) || hub.EventKeyCount("key") != 1 {
		t.Fatal(isFirst, err)
	}
	if !hub.UnregisterAndIsLast(sub) || hub.UnregisterAndIsLast(sub) {
		t.Fatal("last once")
	}
}

func TestHub_RoutesToSubscriberAndSkipsUnmatched(t *testing.T) {
	bus := newBus(t, reqbus.BusOptions{})
	hub := NewHub(bus)
	sub, _, err := hub.RegisterAndIsFirst(soon(t), "key", "wanted")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"other", "wanted", "other"} {
		if _, err := bus.PublishEvent(reqbus.NewEvent{Kind: kind, Sort: reqbus.Text}); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := sub.NextBatch(soon(t))
	if err != nil || len(batch.Items) != 1 || batch.Items[0].(*reqbus.Event).Kind != "wanted" {
		t.Fatal(batch, err)
	}
}

func TestHub_NonBlocking_Observability(t *testing.T) {
	bus := newBus(t, reqbus.BusOptions{})
	sub, err := bus.Subscribe(soon(t), reqbus.SubscribeOptions{Capacity: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		publish(t, bus, 1)
	}
	if stats := sub.Stats(); stats.LostFull != 2 || stats.Pending != 1 {
		t.Fatalf("a queue of one, three publishes: %+v", stats)
	}
	batch, err := sub.TryBatch(reqbus.ReadLimits{})
	if err != nil {
		t.Fatal(err)
	}
	if event := batch.Items[0].(*reqbus.Event); event.N != 1 || event.ID.Seq != 1 {
		t.Fatalf("%+v", event)
	}
	if lost := batch.Items[1].(reqbus.Lost); lost.Missed != 2 || lost.Reason != reqbus.LostFull {
		t.Fatalf("%+v", lost)
	}
}

func TestHub_TOCTOU_RegisterWaitsForTheCleanup(t *testing.T) {
	hub := NewHub(newBus(t, reqbus.BusOptions{}))
	if hub.AcquireCleanupLock("key") {
		t.Fatal("nobody is there: refused")
	}
	one, _, _ := hub.RegisterAndIsFirst(soon(t), "key")
	two, _, _ := hub.RegisterAndIsFirst(soon(t), "key")
	if hub.AcquireCleanupLock("key") {
		t.Fatal("several: refused")
	}
	hub.UnregisterAndIsLast(two)
	if !hub.AcquireCleanupLock("key") || hub.AcquireCleanupLock("key") {
		t.Fatal("locked once")
	}
	came := make(chan bool)
	go func() {
		_, isFirst, err := hub.RegisterAndIsFirst(soon(t), "key")
		if err != nil {
			t.Error(err)
		}
		came <- isFirst
	}()
	if _, isFirst, err := hub.RegisterAndIsFirst(soon(t), "other"); err != nil || !isFirst {
		t.Fatal("other keys are not held up:", err)
	}
	select {
	case <-came:
		t.Fatal("it did not wait")
	case <-time.After(200 * time.Millisecond):
	}
	if !hub.UnregisterAndIsLast(one) {
		t.Fatal("who cleans up is the last")
	}
	hub.ReleaseCleanupLock("key")
	hub.ReleaseCleanupLock("key")
	if isFirst := <-came; !isFirst {
		t.Fatal("the newcomer is first")
	}
}

func TestHub_CleanupWaitTimeout(t *testing.T) {
	hub := NewHub(newBus(t, reqbus.BusOptions{}))
	_, _, _ = hub.RegisterAndIsFirst(soon(t), "key")
	if !hub.AcquireCleanupLock("key") {
		t.Fatal("the lock")
	}
	defer hub.ReleaseCleanupLock("key")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := hub.RegisterAndIsFirst(ctx, "key"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if hub.EventKeyCount("key") != 0 {
		t.Fatal("it joined")
	}
}

func TestHub_PublishRace(t *testing.T) {
	bus := newBus(t, reqbus.BusOptions{})
	sub, err := bus.Subscribe(soon(t), reqbus.SubscribeOptions{Capacity: 2})
	if err != nil {
		t.Fatal(err)
	}
	const publishers, each = 50, 500
	var publishing, reading sync.WaitGroup
	var delivered atomic.Uint64
	stop := make(chan struct{})
	for range 20 {
		reading.Add(1)
		go func() {
			defer reading.Done()
			for {
				batch, err := sub.TryBatch(reqbus.ReadLimits{})
				if err != nil {
					t.Error(err)
					return
				}
				if batch != nil {
					for _, item := range batch.Items {
						if _, ok := item.(*reqbus.Event); ok {
							delivered.Add(1)
						}
					}
					continue
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
	}
	for range publishers {
		publishing.Add(1)
		go func() {
			defer publishing.Done()
			publish(t, bus, each)
		}()
	}
	publishing.Wait()
	close(stop)
	reading.Wait()
	stats := sub.Stats()
	if stats.Matched != publishers*each || stats.Delivered != delivered.Load() ||
		stats.Matched != stats.Delivered+stats.Lost()+stats.Pending {
		t.Fatalf("%+v, %d read", stats, delivered.Load())
	}
}

func TestHub_SubscriptionIDs(t *testing.T) {
	bus := newBus(t, reqbus.BusOptions{})
	hub := NewHub(bus)
	one, isFirst, err := hub.RegisterAndIsFirst(soon(t), "sub-1", "wanted")
	if err != nil || !isFirst {
		t.Fatal(isFirst, err)
	}
	if _, isFirst, err := hub.RegisterAndIsFirst(soon(t), "sub-1"); err != nil || isFirst {
		t.Fatal("the same id is not first:", err)
	}
	two, isFirst, err := hub.RegisterAndIsFirst(soon(t), "sub-2", "wanted")
	if err != nil || !isFirst {
		t.Fatal("ids are apart:", err)
	}
	if hub.EventKeyCount("sub-1") != 2 || hub.EventKeyCount("sub-2") != 1 || hub.ConnCount() != 3 {
		t.Fatal(hub.EventKeyCount("sub-1"), hub.ConnCount())
	}
	if _, err := bus.PublishEvent(reqbus.NewEvent{Kind: "wanted", Sort: reqbus.Text}); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []*reqbus.Subscription{one, two} {
		// Each has numbers of its own.
		if batch, err := sub.NextBatch(soon(t)); err != nil || batch.Items[0].(*reqbus.Event).N != 1 {
			t.Fatal(batch, err)
		}
	}
	consumers, err := bus.Consumers()
	if err != nil || len(consumers) != 3 || consumers[0].Audience != "sub-1" || consumers[0].PID != os.Getpid() ||
		consumers[0].Stats.Delivered != 1 || consumers[2].Stats.Lost() != 0 {
		t.Fatalf("%+v, %v", consumers, err)
	}
}

func TestHub_TryRegisterExclusive_RefusesTheSecond(t *testing.T) {
	hub := NewHub(newBus(t, reqbus.BusOptions{}))
	sub, reason := hub.TryRegisterExclusive(soon(t), "key")
	if sub == nil || reason != "" || !sub.IsFirst() {
		t.Fatal(reason)
	}
	second, reason := hub.TryRegisterExclusive(soon(t), "key")
	if second != nil || !strings.Contains(reason, strconv.Itoa(os.Getpid())) {
		t.Fatal("the holder's process is not named: ", reason)
	}
	if hub.EventKeyCount("key") != 1 || !hub.UnregisterAndIsLast(sub) {
		t.Fatal("the second left something behind")
	}
	if sub, reason := hub.TryRegisterExclusive(soon(t), "key"); sub == nil {
		t.Fatal("it is free again: ", reason)
	}
}

func TestHub_TryRegisterExclusive_DistinctSubscriptionsBothPass(t *testing.T) {
	hub := NewHub(newBus(t, reqbus.BusOptions{}))
	for _, key := range []string{"one", "two"} {
		if sub, reason := hub.TryRegisterExclusive(soon(t), key); sub == nil {
			t.Fatal(key, reason)
		}
	}
}

func TestHub_TryRegisterExclusive_CleanupWaitTimeout(t *testing.T) {
	hub := NewHub(newBus(t, reqbus.BusOptions{}))
	hub.ExclusiveWait = 20 * time.Millisecond
	if _, _, err := hub.RegisterAndIsFirst(soon(t), "key"); err != nil || !hub.AcquireCleanupLock("key") {
		t.Fatal("the lock: ", err)
	}
	if sub, reason := hub.TryRegisterExclusive(soon(t), "key"); sub != nil || !strings.Contains(reason, "retry shortly") {
		t.Fatal(reason)
	}
	hub.ReleaseCleanupLock("key")
	if sub, reason := hub.TryRegisterExclusive(soon(t), "key"); sub == nil {
		t.Fatal(reason)
	}
}

func TestHub_TryRegisterExclusive_Concurrent(t *testing.T) {
	hub := NewHub(newBus(t, reqbus.BusOptions{}))
	for range 50 {
		var won, firsts atomic.Int64
		var all sync.WaitGroup
		for at := range 16 {
			all.Add(1)
			go func() {
				defer all.Done()
				if at%4 == 0 {
					if sub, isFirst, err := hub.RegisterAndIsFirst(soon(t), "key"); err != nil {
						t.Error(err)
					} else if isFirst {
						firsts.Add(1)
					} else if sub == nil {
						t.Error("no subscription")
					}
				} else if sub, _ := hub.TryRegisterExclusive(soon(t), "key"); sub != nil {
					won.Add(1)
					if sub.IsFirst() {
						firsts.Add(1)
					} else {
						t.Error("alone, and not the first")
					}
				}
			}()
		}
		all.Wait()
		if firsts.Load() != 1 || won.Load() > 1 {
			t.Fatal(firsts.Load(), won.Load())
		}
		hub.mu.Lock()
		subs := make([]*reqbus.Subscription, 0, len(hub.subs))
		for sub := range hub.subs {
			subs = append(subs, sub)
		}
		hub.mu.Unlock()
		for _, sub := range subs {
			hub.UnregisterAndIsLast(sub)
		}
	}
}
