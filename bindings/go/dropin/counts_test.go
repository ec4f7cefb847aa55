package dropin

import (
	"context"
	"errors"
	"fmt"
	"testing"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// The tests of what is counted, and of what is only counted.

func TestCalculateMaxWait(t *testing.T) {
	for limit, want := range map[int]int{5: 25, 1: 21, 0: 21, -1: 21, 10: 30} {
		if got := CalculateMaxWait(limit); got != want {
			t.Errorf("%d: %d", limit, got)
		}
	}
}

func TestAcquireAPIKeySlot_UnlimitedTracksAndReleases(t *testing.T) {
	s := newSlots(t)
	var releases []func()
	for range 30 {
		release, acquired, err := s.AcquireAPIKeySlot("k1", 0)
		if err != nil || !acquired {
			t.Fatal(acquired, err)
		}
		releases = append(releases, release)
	}
	if got := s.GetAPIKeyConcurrencyBatch(soon(t), []string{"k1", "k2"}); got["k1"] != 30 || got["k2"] != 0 || len(got) != 2 {
		t.Fatal(got)
	}
	for _, release := range releases {
		release()
		release()
	}
	if got := s.GetAPIKeyConcurrencyBatch(soon(t), []string{"k1"}); got["k1"] != 0 {
		t.Fatal(got)
	}
}

func TestAcquireAPIKeySlot_UnlimitedFailsOpen(t *testing.T) {
	s := newSlots(t)
	s.TrackAPIKey("")() // no key
	(&Slots{}).TrackAPIKey("k1")()
	s.Pool.Close()
	if release, acquired, err := s.AcquireAPIKeySlot("k1", 0); err != nil || !acquired {
		t.Fatal(acquired, err)
	} else {
		release()
	}
}

func TestAcquireAPIKeySlot_LimitedRefusesWhenFull(t *testing.T) {
	s := newSlots(t)
	if _, acquired, err := s.AcquireAPIKeySlot("k1", 1); err != nil || !acquired {
		t.Fatal(acquired, err)
	}
	if release, acquired, err := s.AcquireAPIKeySlot("k1", 1); err != nil || acquired || release != nil {
		t.Fatal(acquired, err)
	}
}

func TestAcquireAPIKeySlot_LimitedAcquiresAndReleases(t *testing.T) {
	s := newSlots(t)
	for range 3 {
		release, acquired, err := s.AcquireAPIKeySlot("k1", 1)
		if err != nil || !acquired {
			t.Fatal(acquired, err)
		}
		release()
	}
}

func TestAPIKeyTracking_ReleasesTheUserFirst(t *testing.T) {
	s := newSlots(t)
	set := NewReleaseSet(context.Background())
	set.Add(s.TrackAPIKey("k1"))
	release, err := s.AcquireUserSlotWithWait(soon(t), nil, 1, 1, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	set.Add(func() {
		release()
		if got := s.GetAPIKeyConcurrencyBatch(soon(t), []string{"k1"}); got["k1"] != 1 {
			t.Error("the key was given back before the user")
		}
	})
	set.Release()
	if got := s.GetAPIKeyConcurrencyBatch(soon(t), []string{"k1"}); got["k1"] != 0 {
		t.Fatal(got)
	}
}

func TestGetAPIKeyConcurrencyBatch_Fallbacks(t *testing.T) {
	var none *Slots
	for _, s := range []*Slots{none, {}} {
		if got := s.GetAPIKeyConcurrencyBatch(soon(t), []string{"k1"}); len(got) != 1 || got["k1"] != 0 {
			t.Fatal(got)
		}
	}
	s := newSlots(t)
	s.TrackAPIKey("k1")
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if got := s.GetAPIKeyConcurrencyBatch(done, []string{"k1"}); len(got) != 1 || got["k1"] != 0 {
		t.Fatal("zeros, not an error: ", got)
	}
	if got := s.GetAPIKeyConcurrencyBatch(soon(t), nil); len(got) != 0 {
		t.Fatal(got)
	}
}

func TestGetAccountsLoadBatch_RightData(t *testing.T) {
	s := newSlots(t)
	limits := map[int64]int64{1: 2, 2: 2, 3: 4, 4: 0}
	for range 2 {
		_, _, _ = s.TryAcquire(reqbus.Account(1), 2)
	}
	_, _, _ = s.TryAcquire(reqbus.Account(2), 2)
	_, _, _ = s.TryAcquire(reqbus.Account(4), 0)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = s.AcquireAccountSlotWithWait(ctx, nil, 1, 2, false, nil)
	}()
	until(t, "one waits", func() bool { count, _ := s.GetAccountWaitingCount(soon(t), 1); return count == 1 })
	got, err := s.GetAccountsLoadBatch(soon(t), limits)
	if want := "map[1:{2 1 150} 2:{1 0 50} 3:{0 0 0} 4:{1 0 0}]"; err != nil || fmt.Sprint(got) != want {
		t.Fatal(got, err)
	}
	cancel()
	<-done
}

// In place of "short TTL cache used" and "Fresh by-passes": there is no cache to be used or by-passed.
func TestGetAccountsLoadBatch_IsAlwaysFresh(t *testing.T) {
	s := newSlots(t)
	limits := map[int64]int64{1: 2}
	for want := range 3 {
		got, err := s.GetAccountsLoadBatch(soon(t), limits)
		if err != nil || got[1].InUse != want {
			t.Fatal(got, err)
		}
		got[1] = LoadInfo{InUse: 99} // nobody else has this map
		_, _, _ = s.TryAcquire(reqbus.Account(1), 0)
	}
}

func TestGetAccountsLoadBatch_NilCacheAndEmpty(t *testing.T) {
	var none *Slots
	for _, s := range []*Slots{none, {}, newSlots(t)} {
		if got, err := s.GetAccountsLoadBatch(soon(t), nil); err != nil || got == nil || len(got) != 0 {
			t.Fatal(got, err)
		}
	}
	if got, err := none.GetAccountsLoadBatch(soon(t), map[int64]int64{1: 1}); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
}

func TestGetAccountConcurrencyBatch(t *testing.T) {
	s := newSlots(t)
	_, _, _ = s.TryAcquire(reqbus.Account(1), 2)
	if got, err := s.GetAccountConcurrencyBatch(soon(t), []int64{1, 2}); err != nil || got[1] != 1 || got[2] != 0 || len(got) != 2 {
		t.Fatal(got, err)
	}
	if got, err := (*Slots)(nil).GetAccountConcurrencyBatch(soon(t), []int64{1}); err != nil || got[1] != 0 || len(got) != 1 {
		t.Fatal("zeros: ", got, err)
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.GetAccountConcurrencyBatch(done, []int64{1}); !errors.Is(err, context.Canceled) {
		t.Fatal("an error passes through:", err)
	}
}

func TestGetAccountWaitingCount(t *testing.T) {
	if count, err := (*Slots)(nil).GetAccountWaitingCount(soon(t), 1); err != nil || count != 0 {
		t.Fatal(count, err)
	}
	if count, err := newSlots(t).GetAccountWaitingCount(soon(t), 1); err != nil || count != 0 {
		t.Fatal(count, err)
	}
}
