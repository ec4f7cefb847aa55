//go:build cgo

package reqbus

import (
	"context"
	"errors"
	"testing"
	"time"
)

func FuzzID(f *testing.F) {
	for _, text := range []string{"", "-", "0123456789abcdef-42", "0123456789abcdef-18446744073709551615", "x-1", "0-0", "\x00"} {
		f.Add(text)
	}
	bus := newBus(f)
	bus.Publish(RequestEvent{})
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseID(text)
		if err == nil && id.String() != text {
			t.Fatalf("%q is read as %v", text, id)
		}
		if err != nil && !errors.Is(err, ErrMalformedID) {
			t.Fatal(err)
		}
		sub, subErr := bus.Subscribe(context.Background(), SubscribeOptions{Start: After, After: text})
		if subErr != nil {
			t.Fatal(subErr)
		}
		defer sub.Close()
		batch, readErr := sub.TryBatch(ReadLimits{})
		if readErr != nil {
			t.Fatal(readErr)
		}
		isMalformed := batch != nil && batch.Items[0] == Item(Resync{ResyncMalformed, bus.Newest()})
		if isMalformed != (err != nil) {
			t.Fatalf("%q: %v, but %+v", text, err, batch)
		}
	})
}

func FuzzOptions(f *testing.F) {
	f.Add(0, 0, 0, "", "", "", uint32(0), uint32(0), int64(0))
	f.Add(1, 65536, 1<<20, "key", "kind", "label", uint32(2), uint32(2), int64(-1))
	f.Add(-1, -1, -1, "\xff", "reqbus.lost", "\x00", uint32(9), uint32(9), int64(1))
	f.Fuzz(func(t *testing.T, events, bytes, capacity int, key, kind, label string, start, overflow uint32, wait int64) {
		bus, err := NewBus(BusOptions{LogEvents: events, LogBytes: bytes, ResumeAge: time.Duration(wait)})
		if err != nil {
			if bus != nil || !errors.Is(err, ErrInvalid) {
				t.Fatal(bus, err)
			}
			return
		}
		defer bus.Close()
		sub, err := bus.Subscribe(context.Background(), SubscribeOptions{
			Start: Start(start), After: label, Overflow: Overflow(overflow), Keys: []string{key}, Kinds: []string{kind},
			Capacity: capacity, Label: label, Audience: key, AudienceWait: time.Duration(wait),
		})
		if err != nil {
			if sub != nil || !errors.Is(err, ErrInvalid) {
				t.Fatal(sub, err)
			}
			return
		}
		defer sub.Close()
		id, err := bus.PublishEvent(NewEvent{Kind: kind, Key: key, Sort: Text, Payload: []byte(label)})
		if (err == nil) != (id.Seq == 1) || err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatal(id, err)
		}
		if stats := sub.Stats(); err == nil && stats.Matched != 1 {
			t.Fatalf("%+v", stats)
		}
	})
}

func FuzzAcquire(f *testing.F) {
	f.Add("user", "42", int64(5), "label", int64(0), 0, int64(0))
	f.Add("", "", int64(-1), "\xff", int64(-1), -1, int64(-1))
	f.Add("account", "\x00", int64(Unlimited), "", int64(1), 1, int64(1))
	f.Fuzz(func(t *testing.T, scope, id string, limit int64, label string, timeout int64, waiting int, ping int64) {
		pool := newPool(t)
		slot, err := pool.Acquire(context.Background(), Key{scope, id}, Limit(limit), WaitOptions{
			Label: label, Timeout: time.Duration(timeout), MaxWaiting: waiting, PingEvery: time.Duration(ping), Try: limit == 0,
		})
		switch {
		case err == nil:
			if slot.Release() != ReleasedNow || slot.Release() != AlreadyReleased {
				t.Fatal("not released once")
			}
		case limit == 0 && errors.Is(err, ErrNoRoom), errors.Is(err, ErrInvalid):
			if slot != nil || RefusalOf(err) == nil {
				t.Fatal(slot, err)
			}
		default:
			t.Fatal(err)
		}
	})
}

func FuzzAdmit(f *testing.F) {
	f.Add("account-7", "", int64(0), int64(0), int64(0), int64(0), 0, 5)
	f.Add("a", "a", int64(time.Second), int64(-1), int64(time.Hour), int64(25*time.Hour), 1, -1)
	f.Add("\x00", "\xff", int64(-1), int64(1), int64(1), int64(1), 1<<40, 1<<40)
	f.Fuzz(func(t *testing.T, one, other string, overdue, every, limit, jitter int64, atOnce, atMost int) {
		admission, err := NewAdmission(RunnerOptions{
			Every: time.Duration(every), Limit: time.Duration(limit), Jitter: time.Duration(jitter), AtOnce: atOnce,
		})
		if err != nil {
			if admission != nil || !errors.Is(err, ErrInvalid) {
				t.Fatal(admission, err)
			}
			return
		}
		defer admission.Close()
		permits, err := admission.Admit([]Due{{one, time.Duration(overdue)}, {other, 0}}, atMost)
		stats := admission.Stats()
		if err != nil {
			if permits != nil || stats.Rounds != 0 || !errors.Is(err, ErrInvalid) {
				t.Fatal(permits, stats, err)
			}
			return
		}
		if stats.Run != uint64(len(permits)) || stats.Run+stats.SkippedBusy+stats.SkippedFull != 2 || len(permits) > max(atMost, 0) {
			t.Fatalf("%d permits, %+v", len(permits), stats)
		}
		for at, permit := range permits {
			if flights := admission.InFlight(); flights[0].ID != permit.ID() || len(flights) != len(permits)-at {
				t.Fatal(flights)
			}
			if !permit.Finish(Succeeded) || permit.Finish(Succeeded) {
				t.Fatal("not given back once")
			}
		}
	})
}
