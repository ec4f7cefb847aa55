//go:build cgo && reqbus_gc

package reqbus

import (
	"context"
	"testing"
	"time"
)

// Each call here is the last use of its object, and collect runs before it reaches C: an object that the call does not
// keep alive is freed by then, and the answer is wrong, or there is none.
func TestObjects_live_through_their_last_call(t *testing.T) {
	ctx := context.Background()
	bus := func() *Bus {
		bus, err := NewBus(BusOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			bus.Publish(RequestEvent{})
		}
		return bus
	}
	pool := func() *Pool {
		pool, err := NewPool(PoolOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return pool
	}
	sub := func() *Subscription {
		sub, err := bus().Subscribe(ctx, SubscribeOptions{Start: Oldest})
		if err != nil {
			t.Fatal(err)
		}
		return sub
	}
	slot := func() *Slot {
		slot, err := pool().Acquire(ctx, User(1), 1)
		if err != nil {
			t.Fatal(err)
		}
		return slot
	}
	admission := func(options RunnerOptions) *Admission {
		admission, err := NewAdmission(options)
		if err != nil {
			t.Fatal(err)
		}
		return admission
	}
	permit := func() *Permit {
		permits, err := admission(RunnerOptions{}).Admit([]Due{{ID: "a"}}, 1)
		if err != nil || len(permits) != 1 {
			t.Fatal(permits, err)
		}
		return permits[0]
	}
	teller := func() *Teller {
		teller, err := NewTeller(bus(), TellerOptions{Kinds: []string{TellGranted}})
		if err != nil {
			t.Fatal(err)
		}
		return teller
	}
	for name, is := range map[string]func() bool{
		"Bus.Stats":          func() bool { return bus().Stats().Newest.Seq == 3 },
		"Bus.Newest":         func() bool { return bus().Newest().Seq == 3 },
		"Bus.Publish":        func() bool { return bus().Publish(RequestEvent{}) == nil },
		"Bus.PublishRequest": func() bool { id, err := bus().PublishRequest(RequestEvent{}); return err == nil && id.Seq == 4 },
		"Bus.PublishEvent": func() bool {
			id, err := bus().PublishEvent(NewEvent{Kind: "k", Sort: Text})
			return err == nil && id.Seq == 4
		},
		"Bus.SetStatus":        func() bool { return bus().SetStatus("a", "b", "") == nil },
		"Bus.Consumers":        func() bool { all, err := bus().Consumers(); return err == nil && len(all) == 0 },
		"Subscription.Batch":   func() bool { batch, err := sub().TryBatch(ReadLimits{}); return err == nil && len(batch.Items) == 3 },
		"Subscription.Stats":   func() bool { return sub().Stats().Matched == 3 },
		"Subscription.Settled": func() bool { return sub().Settled().Epoch != 0 },
		"Pool.Load":            func() bool { loads, err := pool().Load(ctx, User(1)); return err == nil && loads[0].InUse == 0 },
		"Pool.SetLimit":        func() bool { return pool().SetLimit(ctx, User(1), 3) == nil },
		"Pool.KnownKeys":       func() bool { return pool().KnownKeys() == 0 },
		"Pool.Acquire": func() bool {
			slot, err := pool().Acquire(ctx, User(1), 1)
			return err == nil && slot.Release() == ReleasedNow
		},
		"Pool.Holders": func() bool { holders, err := pool().Holders(ctx, User(1)); return err == nil && len(holders) == 0 },
		"Slot.Release": func() bool { return slot().Release() == ReleasedNow },
		"Slot.Keys":    func() bool { keys := slot().Keys(); return len(keys) == 1 },
		"Admission.Admit": func() bool {
			permits, err := admission(RunnerOptions{}).Admit([]Due{{ID: "a"}}, 1)
			return err == nil && permits[0].ID() == "a"
		},
		"Admission.UntilNextRound": func() bool {
			seed := uint64(42)
			return admission(RunnerOptions{Jitter: time.Hour, Seed: &seed}).UntilNextRound() > time.Second
		},
		"Admission.Stats":    func() bool { return admission(RunnerOptions{}).Stats() == RunnerStats{} },
		"Admission.InFlight": func() bool { return admission(RunnerOptions{}).InFlight() != nil },
		"Permit.TimeLeft":    func() bool { return permit().TimeLeft() > 0 },
		"Permit.Finish":      func() bool { return permit().Finish(Succeeded) },
		"Teller.Failed":      func() bool { return teller().Failed() == 0 },
		"NewPool": func() bool {
			pool, err := NewPool(PoolOptions{Teller: teller()})
			return err == nil && pool.KnownKeys() == 0
		},
	} {
		for range 10 {
			if !is() {
				t.Fatal(name)
			}
		}
	}
}
