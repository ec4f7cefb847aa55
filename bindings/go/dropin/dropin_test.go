package dropin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

func newBus(t *testing.T, options reqbus.BusOptions) *reqbus.Bus {
	t.Helper()
	bus, err := reqbus.NewBus(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	return bus
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := soon(t); !is(); time.Sleep(time.Millisecond) {
		if deadline.Err() != nil {
			t.Fatal("never: ", what)
		}
	}
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case got, ok := <-from:
		if !ok {
			t.Fatal("the channel is closed")
		}
		return got
	case <-soon(t).Done():
		t.Fatal("nothing comes")
		panic("unreachable")
	}
}

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

// The tests of the broker.

func publish(t *testing.T, bus *reqbus.Bus, count int) {
	t.Helper()
	for range count {
		if _, err := bus.PublishEvent(reqbus.NewEvent{Kind: "k", Sort: reqbus.Text}); err != nil {
			t.Fatal(err)
		}
	}
}

func idAt(bus *reqbus.Bus, seq uint64) string {
	return reqbus.ID{Epoch: bus.Epoch(), Seq: seq}.String()
}

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

// The tests of the release functions.

func TestWrapRelease_NilReleaseFunc(t *testing.T) {
	if WrapReleaseOnDone(context.Background(), nil) != nil {
		t.Fatal("nil in, nil out")
	}
}

func TestWrapRelease_ContextCancellation(t *testing.T) {
	var count atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	WrapReleaseOnDone(ctx, func() { count.Add(1) })
	cancel()
	until(t, "released", func() bool { return count.Load() == 1 })
}

func TestWrapRelease_ConcurrentCancelAndManualReleaseRunsExactlyOnce(t *testing.T) {
	for range 100 {
		var count atomic.Int64
		ctx, cancel := context.WithCancel(context.Background())
		release := WrapReleaseOnDone(ctx, func() { count.Add(1) })
		var all sync.WaitGroup
		for range 16 {
			all.Add(1)
			go func() { defer all.Done(); release() }()
		}
		cancel()
		all.Wait()
		if got := count.Load(); got != 1 {
			t.Fatal(got)
		}
	}
}

func TestWrapRelease_AlreadyCanceledContextReleasesOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 1000 {
		var count atomic.Int64
		release := WrapReleaseOnDone(ctx, func() { count.Add(1) })
		release()
		if got := count.Load(); got != 1 {
			t.Fatal(got)
		}
	}
}

func TestHTTPAttemptReleaseSet(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var count atomic.Int64
	add := func() { count.Add(1) }
	reclaimed, handedOn := NewReleaseSet(ctx), NewReleaseSet(ctx)
	reclaimed.Add(add)
	reclaimed.Add(nil)
	handedOn.Add(add)
	complete, ok := handedOn.Transfer()
	if _, again := handedOn.Transfer(); !ok || again {
		t.Fatal("moved once")
	}
	cancel()
	until(t, "the one that was not handed on is reclaimed", func() bool { return count.Load() == 1 })
	handedOn.Add(add) // after the transfer: at once
	reclaimed.Add(add)
	if got := count.Load(); got != 3 {
		t.Fatal(got)
	}
	complete()
	complete()
	reclaimed.Release()
	if got := count.Load(); got != 4 {
		t.Fatal(got)
	}
	if _, ok := reclaimed.Transfer(); ok || reclaimed.Detach() {
		t.Fatal("it is released")
	}
}

func TestReleaseSet_Detach(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	set := NewReleaseSet(ctx)
	var count atomic.Int64
	set.Add(func() { count.Add(1) })
	if !set.Detach() {
		t.Fatal("tied")
	}
	cancel()
	time.Sleep(10 * time.Millisecond)
	if count.Load() != 0 {
		t.Fatal("released by the context")
	}
	set.Release()
	if count.Load() != 1 {
		t.Fatal("not released")
	}
}

// The tests of the helper that takes slots.

func newSlots(t *testing.T) *Slots {
	t.Helper()
	pool, err := reqbus.NewPool(reqbus.PoolOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return &Slots{Pool: pool}
}

func inUse(t *testing.T, s *Slots, key reqbus.Key) reqbus.Load {
	t.Helper()
	loads, err := s.Pool.Load(soon(t), key)
	if err != nil {
		t.Fatal(err)
	}
	return loads[0]
}

func TestConcurrencyHelper_TryAcquireUserSlot(t *testing.T) {
	s := newSlots(t)
	release, acquired, err := s.TryAcquire(reqbus.User(1), 1)
	if err != nil || !acquired || inUse(t, s, reqbus.User(1)).InUse != 1 {
		t.Fatal(acquired, err)
	}
	release()
	release()
	if inUse(t, s, reqbus.User(1)).InUse != 0 {
		t.Fatal("not released")
	}
}

func TestConcurrencyHelper_TryAcquireAccountSlot_NotAcquired(t *testing.T) {
	s := newSlots(t)
	_, _, _ = s.TryAcquire(reqbus.Account(1), 1)
	release, acquired, err := s.TryAcquire(reqbus.Account(1), 1)
	if err != nil || acquired || release != nil {
		t.Fatal(acquired, err)
	}
}

func TestAcquireAccountSlot_UnlimitedForZeroAndMinusOne(t *testing.T) {
	s := newSlots(t)
	for _, max := range []int64{0, -1} {
		for range 100 {
			if _, acquired, err := s.TryAcquire(reqbus.Account(max), max); err != nil || !acquired {
				t.Fatal(err)
			}
		}
		if inUse(t, s, reqbus.Account(max)).InUse != 100 {
			t.Fatal("they are counted all the same")
		}
	}
}

func TestAcquireUserSlotWithWait_ImmediateAcquireSkipsWaitQueue(t *testing.T) {
	s := newSlots(t)
	release, err := s.AcquireUserSlotWithWait(soon(t), nil, 1, 1, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if stats, _ := s.Pool.KeyStats(reqbus.User(1)); stats.GrantedAfterWait != 0 || stats.Waits != 0 || stats.Busy != 0 {
		t.Fatalf("%+v", stats)
	}
}

func TestAcquireUserSlotWithWait_WaitSuccess(t *testing.T) {
	s := newSlots(t)
	first, _ := s.AcquireUserSlotWithWait(soon(t), nil, 1, 1, false, nil)
	got := make(chan error)
	go func() {
		release, err := s.AcquireUserSlotWithWait(soon(t), nil, 1, 1, false, nil)
		if err == nil {
			defer release()
		}
		got <- err
	}()
	until(t, "one waits", func() bool { return inUse(t, s, reqbus.User(1)).Waiting == 1 })
	first()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestAcquireAccountSlotWithWaitTimeout(t *testing.T) {
	s := newSlots(t)
	_, _ = s.AcquireAccountSlotWithWait(soon(t), nil, 1, 1, false, nil)
	_, err := s.AcquireAccountSlotWithWaitTimeout(soon(t), nil, 1, 1, 30*time.Millisecond, false, nil)
	if !errors.Is(err, reqbus.ErrTimedOut) || inUse(t, s, reqbus.Account(1)).Waiting != 0 {
		t.Fatal(err)
	}
}

func TestWaitForSlotWithPingTimeout_ParentContextCanceled(t *testing.T) {
	s := newSlots(t)
	_, _ = s.AcquireUserSlotWithWait(soon(t), nil, 1, 1, false, nil)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err := s.AcquireUserSlotWithWait(ctx, nil, 1, 1, false, nil)
	if !errors.Is(err, context.Canceled) || errors.Is(err, reqbus.ErrTimedOut) || inUse(t, s, reqbus.User(1)).Waiting != 0 {
		t.Fatal(err)
	}
}

func TestWaitForSlotWithPingTimeout_TimeoutAndStreamPing(t *testing.T) {
	s := newSlots(t)
	s.Ping, s.PingEvery = PingComment, 10*time.Millisecond
	_, _ = s.AcquireUserSlotWithWait(soon(t), nil, 1, 1, false, nil)
	started := false
	w := httptest.NewRecorder()
	_, err := s.AcquireWithWait(soon(t), w, reqbus.User(1), 1, 70*time.Millisecond, true, &started)
	if !errors.Is(err, reqbus.ErrTimedOut) || !started || !w.Flushed || !strings.HasPrefix(w.Body.String(), ":\n\n") {
		t.Fatal(err, started, w.Body)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "Connection": "keep-alive", "X-Accel-Buffering": "no",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if pings := reqbus.RefusalOf(err).Pings; pings < 1 {
		t.Fatal(pings)
	}
}

func TestWaitForSlot_NoPingWithoutAStream(t *testing.T) {
	s := newSlots(t)
	s.Ping, s.PingEvery = PingClaude, time.Millisecond
	_, _ = s.AcquireUserSlotWithWait(soon(t), nil, 1, 1, false, nil)
	started := false
	w := httptest.NewRecorder()
	_, _ = s.AcquireWithWait(soon(t), w, reqbus.User(1), 1, 20*time.Millisecond, false, &started)
	if started || w.Body.Len() != 0 {
		t.Fatal(started, w.Body)
	}
}

// notFlushing can write and not flush.
type notFlushing struct{ http.ResponseWriter }

func TestWaitForSlot_StreamingNotSupported(t *testing.T) {
	s := newSlots(t)
	s.Ping = PingClaude
	release, err := s.AcquireUserSlotWithWait(soon(t), notFlushing{}, 1, 1, true, nil)
	if err != nil {
		t.Fatal("who need not wait needs no flush:", err)
	}
	defer release()
	if _, err = s.AcquireUserSlotWithWait(soon(t), notFlushing{}, 1, 1, true, nil); !errors.Is(err, ErrStreamingNotSupported) {
		t.Fatal(err)
	}
}

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

func TestHub_NonBlockingAndObservability(t *testing.T) {
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
	case <-time.After(100 * time.Millisecond):
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
