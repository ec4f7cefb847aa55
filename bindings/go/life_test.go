//go:build cgo

package reqbus

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// level is what must not grow: goroutines, threads and descriptors of this process.
type level struct{ goroutines, threads, descriptors int }

func measure(t *testing.T) level {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skip("this system does not list threads")
	}
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system does not list descriptors")
	}
	return level{runtime.NumGoroutine(), len(threads), len(descriptors)}
}

func TestCounts_are_level_after_10000_rounds(t *testing.T) {
	round := func() {
		bus, err := NewBus(BusOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sub, err := bus.Subscribe(context.Background(), SubscribeOptions{Audience: "a"})
		if err != nil {
			t.Fatal(err)
		}
		pool, err := NewPool(PoolOptions{})
		if err != nil {
			t.Fatal(err)
		}
		held, err := pool.Acquire(context.Background(), User(1), 1)
		if err != nil {
			t.Fatal(err)
		}
		wait, err := pool.Wait([]Ask{{User(1), 1}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		read := make(chan error)
		go func() {
			_, err := sub.NextBatch(ctx)
			read <- err
		}()
		bus.Publish(RequestEvent{})
		if err := <-read; err != nil {
			t.Fatal(err)
		}
		cancel()
		held.Release()
		wait.Close()
		sub.Close()
		sub.Close()
		pool.Close()
		pool.Close()
		bus.Close()
		bus.Close()
	}
	rounds := 10_000
	if testing.Short() || isCollecting {
		rounds = 100
	}
	for range 50 {
		round()
	}
	before := settled(t, level{1 << 30, 1 << 30, 1 << 30})
	for range rounds {
		round()
	}
	// The Go runtime keeps threads once it needed them, the more the busier the machine is. One that leaked would come
	// ten thousand times.
	most := level{before.goroutines + 2, before.threads + 64, before.descriptors + 2}
	if after := settled(t, most); after.goroutines > most.goroutines || after.threads > most.threads || after.descriptors > most.descriptors {
		t.Fatalf("before %+v, after %+v", before, after)
	}
}

// settled is the level once what ends in the background has ended.
func settled(t *testing.T, most level) (now level) {
	for range 200 {
		runtime.GC()
		time.Sleep(5 * time.Millisecond)
		now = measure(t)
		if now.goroutines <= most.goroutines && now.threads <= most.threads && now.descriptors <= most.descriptors {
			break
		}
	}
	return now
}

func TestNil_is_harmless(t *testing.T) {
	var bus *Bus
	if err := errors.Join(bus.Publish(RequestEvent{}), bus.Close()); err != nil {
		t.Fatal(err)
	}
	if id, err := bus.PublishEvent(NewEvent{Kind: "k"}); err != nil || !id.IsZero() {
		t.Fatal(id, err)
	}
	if _, err := bus.Subscribe(context.Background(), SubscribeOptions{}); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	bus.Stats()
	bus.Newest()
	var pool *Pool
	if _, err := pool.Acquire(context.Background(), User(1), 1); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	var slot *Slot
	slot.ReleaseOnDone(context.Background())
	if slot.Release() != AlreadyReleased || slot.Detach() || slot.Lost() != nil || slot.Keys() != nil || pool.Close() != nil {
		t.Fatal("a nil slot holds something")
	}
}

func TestClosed_objects_say_so(t *testing.T) {
	bus, pool := newBus(t), newPool(t)
	sub := subscribe(t, bus, SubscribeOptions{})
	bus.Publish(RequestEvent{})
	bus.Close()
	if err := bus.Publish(RequestEvent{}); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	seen := 0
	for range sub.Items(soon(t)) {
		seen++
	}
	if !errors.Is(sub.Err(), ErrClosed) || seen != 1 {
		t.Fatal(sub.Err(), seen)
	}
	sub.Close()
	if _, err := sub.TryBatch(ReadLimits{}); !errors.Is(err, ErrClosed) || sub.Stats().Delivered != 1 {
		t.Fatal(err, sub.Stats())
	}
	pool.Close()
	if _, err := pool.Acquire(soon(t), User(1), 1); !errors.Is(err, ErrClosed) || RefusalOf(err).Outcome != OutcomeClosed {
		t.Fatal(err)
	}
}

func TestClose_wakes_who_sleeps(t *testing.T) {
	bus := newBus(t)
	pool := newPool(t)
	sub := subscribe(t, bus, SubscribeOptions{})
	slot, _ := pool.Acquire(soon(t), User(1), 1)
	defer slot.Release()
	errs := make(chan error, 2)
	go func() { _, err := sub.NextBatch(soon(t)); errs <- err }()
	go func() { _, err := pool.Acquire(soon(t), User(1), 1); errs <- err }()
	for sub.core.waiting.Load() == false || pool.core.waiting.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	sub.Close()
	pool.Close()
	for range 2 {
		if err := <-errs; !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
	}
}

func TestA_second_waiter_gets_busy(t *testing.T) {
	bus := newBus(t)
	sub := subscribe(t, bus, SubscribeOptions{})
	ctx, cancel := context.WithCancel(soon(t))
	done := make(chan struct{})
	go func() { sub.NextBatch(ctx); close(done) }()
	for !sub.core.waiting.Load() {
		time.Sleep(time.Millisecond)
	}
	if _, err := sub.NextBatch(ctx); !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	cancel()
	<-done
}

func TestAn_iterator_that_stops_midway_keeps_the_rest(t *testing.T) {
	bus := newBus(t)
	sub := subscribe(t, bus, SubscribeOptions{})
	for range 5 {
		bus.Publish(RequestEvent{})
	}
	var seen []uint64
	for item := range sub.Items(soon(t)) {
		if seen = append(seen, item.(*Event).N); len(seen) == 2 {
			break
		}
	}
	if err := sub.Err(); err != nil {
		t.Fatal(err)
	}
	for item := range sub.Items(soon(t)) {
		if seen = append(seen, item.(*Event).N); len(seen) == 5 {
			break
		}
	}
	for at, n := range seen {
		if n != uint64(at+1) {
			t.Fatal(seen)
		}
	}
}

//go:noinline
func forget(t *testing.T, pool *Pool, label string) {
	if _, err := pool.AcquireAll(context.Background(), []Ask{{User(7), 1}}, Label(label)); err != nil {
		t.Fatal(err)
	}
}

func TestA_leaked_slot_is_found_released_counted_and_told(t *testing.T) {
	var told []Leak
	pool, err := NewPool(PoolOptions{OnLeak: func(leak Leak) { told = append(told, leak) }})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	forget(t, pool, "forgotten")
	for range 100 {
		runtime.GC()
		if pool.Leaked() > 0 {
			break
		}
	}
	if pool.Leaked() != 1 || len(told) != 1 || told[0].Key != User(7) || told[0].Label != "forgotten" {
		t.Fatal(pool.Leaked(), told)
	}
	slot, err := pool.Acquire(soon(t), User(7), 1, Timeout(0))
	if err != nil {
		t.Fatal(err)
	}
	slot.Release()
	if stats, _ := pool.KeyStats(User(7)); stats.Leaked != 1 {
		t.Fatalf("%+v", stats)
	}
}

func TestReleased_slots_are_looked_after_no_longer(t *testing.T) {
	pool := newPool(t)
	blocks := func() int {
		pool.core.leaks.mu.Lock()
		defer pool.core.leaks.mu.Unlock()
		for at, block := range pool.core.leaks.blocks {
			if block.index != at {
				t.Fatalf("block %d says %d", at, block.index)
			}
		}
		return len(pool.core.leaks.blocks)
	}
	count := fewer(40) + 6
	slots := make([]*Slot, count*blockSize)
	for at := range slots {
		slot, err := pool.Acquire(soon(t), User(7), Unlimited)
		if err != nil {
			t.Fatal(err)
		}
		slots[at] = slot
	}
	if blocks() != count {
		t.Fatal(blocks())
	}
	kept := slots[3*blockSize+1]
	for _, at := range rand.Perm(len(slots)) {
		switch slot := slots[at]; {
		case slot == kept || at == 5*blockSize:
		case at%7 == 0:
			if err := kept.Join(slot); err != nil && !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
			slot.Release()
		default:
			slot.Release()
		}
	}
	if blocks() != 2 {
		t.Fatal("those of the two that are held: ", blocks())
	}
	slots = nil
	until(t, "the other is found", func() bool { runtime.GC(); return pool.Leaked() == 1 })
	if kept.Release() != ReleasedNow {
		t.Fatal("it was held")
	}
	if blocks() > 1 {
		t.Fatal(blocks())
	}
}

func TestWho_waits_is_given_a_leaked_slot(t *testing.T) {
	pool := newPool(t)
	forget(t, pool, "")
	got := make(chan error)
	go func() {
		slot, err := pool.Acquire(soon(t), User(7), 1)
		slot.Release()
		got <- err
	}()
	for pool.core.waiting.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for {
		select {
		case err := <-got:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
			runtime.GC() // nobody but the collector calls the pool
			time.Sleep(time.Millisecond)
		}
	}
}

func TestA_slot_tied_to_a_context_is_no_leak(t *testing.T) {
	pool := newPool(t)
	ctx, cancel := context.WithCancel(context.Background())
	func() {
		slot, err := pool.Acquire(ctx, User(7), 1)
		if err != nil {
			t.Fatal(err)
		}
		slot.ReleaseOnDone(ctx)
	}()
	for range 5 {
		runtime.GC()
		if pool.Leaked() != 0 {
			t.Fatal("told as leaked")
		}
	}
	cancel()
	slot, err := pool.Acquire(soon(t), User(7), 1)
	if err != nil {
		t.Fatal(err)
	}
	slot.Release()
}

func TestA_lost_slot_is_told(t *testing.T) {
	pool := newPool(t)
	slot, err := pool.Acquire(soon(t), User(7), 1)
	if err != nil {
		t.Fatal(err)
	}
	lost := slot.Lost()
	select {
	case <-lost:
		t.Fatal("it is not lost yet")
	default:
	}
	holders, err := pool.Holders(soon(t), User(7))
	if err != nil || len(holders) != 1 {
		t.Fatal(holders, err)
	}
	if wasHeld, err := pool.Force(soon(t), User(7), holders[0].Number); err != nil || !wasHeld {
		t.Fatal(wasHeld, err)
	}
	select {
	case <-lost:
	case <-soon(t).Done():
		t.Fatal("never told")
	}
	if slot.LossReason() != LossForced || slot.Release() != LostBefore || slot.LossReason() != LossForced {
		t.Fatal(slot.LossReason())
	}
}

func TestDetach_unties_a_slot(t *testing.T) {
	pool := newPool(t)
	ctx, cancel := context.WithCancel(context.Background())
	slot, err := pool.Acquire(ctx, User(7), 1)
	if err != nil {
		t.Fatal(err)
	}
	slot.ReleaseOnDone(ctx)
	if !slot.Detach() || slot.Detach() {
		t.Fatal("once")
	}
	cancel()
	time.Sleep(10 * time.Millisecond)
	if released := slot.Release(); released != ReleasedNow {
		t.Fatal(released)
	}
}

func TestMany_goroutines_never_pass_the_limit(t *testing.T) {
	pool := newPool(t)
	var inUse, most, granted atomic.Int64
	rounds := fewer(200)
	var all sync.WaitGroup
	for worker := range 16 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range rounds {
				ctx, cancel := context.WithCancel(context.Background())
				if worker%4 == 0 {
					go cancel() // races the grant
				}
				slot, err := pool.Acquire(ctx, User(7), 3)
				if err == nil {
					granted.Add(1)
					if now := inUse.Add(1); now > most.Load() {
						most.Store(now)
					}
					runtime.Gosched()
					inUse.Add(-1)
					slot.Release()
				} else if !errors.Is(err, ErrCancelled) {
					t.Error(err)
				}
				cancel()
			}
		}()
	}
	all.Wait()
	loads, err := pool.Load(context.Background(), User(7))
	if err != nil || most.Load() > 3 || loads[0].InUse != 0 || loads[0].Waiting != 0 || granted.Load() < int64(12*rounds) {
		t.Fatal(err, most.Load(), loads, granted.Load())
	}
}

func TestErrors_name_the_field_and_never_the_value(t *testing.T) {
	pool := newPool(t)
	secret := strings.Repeat("secret", 50)
	_, err := pool.Acquire(context.Background(), APIKey(secret), 1)
	if !errors.Is(err, ErrTooLarge) || !errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), "secret") {
		t.Fatal(err)
	}
	bus := newBus(t)
	_, err = bus.PublishEvent(NewEvent{Kind: "k", Sort: JSON, Payload: []byte("{secret")})
	var failed *Error
	if !errors.As(err, &failed) || failed.Kind != KindInvalidJSON || strings.Contains(err.Error(), "secret") {
		t.Fatal(err)
	}
}
