package dropin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// The tests of the helper that takes slots.

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

func TestAcquireAccountSlot_SuccessFailureAndReleaseDecrements(t *testing.T) {
	s := newSlots(t)
	var releases []func()
	for range 2 {
		release, acquired, err := s.TryAcquire(reqbus.Account(1), 2)
		if err != nil || !acquired {
			t.Fatal(err)
		}
		releases = append(releases, release)
	}
	if release, acquired, err := s.TryAcquire(reqbus.Account(1), 2); err != nil || acquired || release != nil {
		t.Fatal("the third: ", acquired, err)
	}
	releases[0]()
	if now := inUse(t, s, reqbus.Account(1)).InUse; now != 1 {
		t.Fatal(now)
	}
}

func TestAcquireUserSlot_IndependentOfAccount(t *testing.T) {
	s := newSlots(t)
	_, _, _ = s.TryAcquire(reqbus.Account(1), 1)
	if _, acquired, err := s.TryAcquire(reqbus.User(1), 1); err != nil || !acquired {
		t.Fatal(err)
	}
	for range 100 {
		if _, acquired, err := s.TryAcquire(reqbus.User(2), 0); err != nil || !acquired {
			t.Fatal("unlimited: ", err)
		}
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

func TestAcquireUserSlotWithWait_WaitSuccessDecrementsBeforeReturn(t *testing.T) {
	s := newSlots(t)
	first, _ := s.AcquireUserSlotWithWait(soon(t), nil, 1, 1, false, nil)
	got := make(chan error)
	go func() {
		release, err := s.AcquireUserSlotWithWait(soon(t), nil, 1, 1, false, nil)
		if err == nil {
			if load := inUse(t, s, reqbus.User(1)); load.Waiting != 0 || load.InUse != 1 {
				err = fmt.Errorf("on return: %+v", load)
			}
			release()
		}
		got <- err
	}()
	until(t, "one waits", func() bool { return inUse(t, s, reqbus.User(1)).Waiting == 1 })
	first()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if stats, _ := s.Pool.KeyStats(reqbus.User(1)); stats.Granted != 2 || stats.GrantedAfterWait != 1 || stats.Waits != 1 {
		t.Fatalf("two acquires, one of them from the queue: %+v", stats)
	}
}

func TestAcquireUserSlotWithWait_TimeoutDecrementsWaitQueue(t *testing.T) {
	s := newSlots(t)
	_, _ = s.AcquireUserSlotWithWait(soon(t), nil, 1, 1, false, nil)
	_, err := s.AcquireWithWait(soon(t), nil, reqbus.User(1), 1, 10*time.Millisecond, false, nil)
	if load := inUse(t, s, reqbus.User(1)); !errors.Is(err, reqbus.ErrTimedOut) || load.Waiting != 0 || load.InUse != 1 {
		t.Fatal(err, load)
	}
}

func TestAcquireUserSlotWithWait_RequestCancelDecrementsWaitQueue(t *testing.T) {
	s := newSlots(t)
	_, _ = s.AcquireUserSlotWithWait(soon(t), nil, 1, 1, false, nil)
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan error)
	go func() {
		release, err := s.AcquireUserSlotWithWait(ctx, nil, 1, 1, false, nil)
		if release != nil {
			t.Error("a release function beside an error")
		}
		got <- err
	}()
	until(t, "one waits", func() bool { return inUse(t, s, reqbus.User(1)).Waiting == 1 })
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) || inUse(t, s, reqbus.User(1)).Waiting != 0 {
		t.Fatal(err)
	}
}

// More than 20 in the queue are refused, whatever the limit.
func TestIncrementWaitCount_SuccessAndFull(t *testing.T) {
	s := newSlots(t)
	for _, key := range []reqbus.Key{reqbus.User(1), reqbus.Account(1)} {
		ctx, cancel := context.WithCancel(context.Background())
		_, _, _ = s.TryAcquire(key, 1)
		var waiters sync.WaitGroup
		for range 20 {
			waiters.Add(1)
			go func() {
				defer waiters.Done()
				if _, err := s.AcquireWithWait(ctx, nil, key, 1, 0, false, nil); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}()
		}
		until(t, "20 wait", func() bool { return inUse(t, s, key).Waiting == 20 })
		if _, err := s.AcquireWithWait(ctx, nil, key, 1, 0, false, nil); !errors.Is(err, reqbus.ErrQueueFull) {
			t.Fatal("the 21st:", err)
		}
		cancel()
		waiters.Wait()
		if waiting := inUse(t, s, key).Waiting; waiting != 0 {
			t.Fatal("never below 0, and down again: ", waiting)
		}
	}
}

func TestWaitForSlotWithPingTimeout_AccountAndUserAcquire(t *testing.T) {
	s := newSlots(t)
	s.Ping = PingClaude
	for _, key := range []reqbus.Key{reqbus.User(1), reqbus.Account(1)} {
		held, _, _ := s.TryAcquire(key, 1) // no ...
		started := false
		w := httptest.NewRecorder()
		got := make(chan error)
		go func() {
			release, err := s.AcquireWithWait(soon(t), w, key, 1, 0, true, &started)
			if err == nil {
				release()
			}
			got <- err
		}()
		until(t, "it waits", func() bool { return inUse(t, s, key).Waiting == 1 })
		held() // ... then yes
		if err := <-got; err != nil || started || w.Body.Len() != 0 || inUse(t, s, key).InUse != 0 {
			t.Fatal(err, started)
		}
	}
}

func TestAcquireAccountSlotWithWaitTimeout_ImmediateAttemptBeforeBackoff(t *testing.T) {
	s := newSlots(t)
	release, err := s.AcquireAccountSlotWithWaitTimeout(soon(t), nil, 1, 1, time.Nanosecond, false, nil)
	if err != nil {
		t.Fatal("less than any backoff, and still one attempt:", err)
	}
	release()
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
