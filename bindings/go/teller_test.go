//go:build cgo

package reqbus

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"testing"
	"time"
)

// hears reads the next event of the bus.
func hears(t *testing.T, sub *Subscription) (*Event, map[string]any) {
	t.Helper()
	var event *Event
	for item := range sub.Items(soon(t)) {
		event, _ = item.(*Event)
		break
	}
	if event == nil {
		t.Fatal("no event comes: ", sub.Err())
	}
	var told map[string]any
	if err := json.Unmarshal(event.Payload, &told); err != nil {
		t.Fatal(err)
	}
	return event, told
}

func newTeller(t *testing.T, bus *Bus, options TellerOptions) *Teller {
	t.Helper()
	teller, err := NewTeller(bus, options)
	if err != nil {
		t.Fatal(err)
	}
	return teller
}

func TestTeller_tells_of_slots(t *testing.T) {
	bus := newBus(t)
	sub := subscribe(t, bus, SubscribeOptions{})
	teller := newTeller(t, bus, TellerOptions{Kinds: []string{TellWaitBegun, TellGranted, TellRefused, TellLost, TellHeldLong}})
	pool, err := NewPool(PoolOptions{Teller: teller, HeldLong: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	slot, err := pool.AcquireAll(soon(t), []Ask{{User(42), 1}, {APIKey("secret"), 1}}, Label("req-1"))
	if err != nil {
		t.Fatal(err)
	}
	event, told := hears(t, sub)
	keys := told["keys"].([]any)
	if event.Kind != TellGranted || event.Key != "42" || told["label"] != "req-1" || len(keys) != 2 {
		t.Fatal(event, told)
	}
	if id := keys[1].(map[string]any)["id"]; id != nil {
		t.Fatal("a secret is told:", id)
	}
	if event, told := hears(t, sub); event.Kind != TellHeldLong || event.Key != "42" && event.Key != "" {
		t.Fatal(event, told)
	}
	hears(t, sub) // of the other key
	if _, err := pool.Acquire(soon(t), User(42), 1, Timeout(0)); !errors.Is(err, ErrNoRoom) {
		t.Fatal(err)
	}
	if event, told := hears(t, sub); event.Kind != TellRefused || told["outcome"] != "busy" || told["in_use"] != float64(1) {
		t.Fatal(event, told)
	}
	wait, err := pool.Wait([]Ask{{User(42), 1}})
	if err != nil {
		t.Fatal(err)
	}
	if event, told := hears(t, sub); event.Kind != TellWaitBegun || told["position"] != float64(1) {
		t.Fatal(event, told)
	}
	wait.Close()
	if event, told := hears(t, sub); event.Kind != TellRefused || told["outcome"] != "cancelled" {
		t.Fatal(event, told)
	}
	holders, err := pool.Holders(soon(t), User(42))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Force(soon(t), User(42), holders[0].Number); err != nil {
		t.Fatal(err)
	}
	if event, told := hears(t, sub); event.Kind != TellLost || told["reason"] != "forced" {
		t.Fatal(event, told)
	}
	slot.Release()
	pool.Close()
	if teller.Failed() != 0 {
		t.Fatal(teller.Failed())
	}
}

func TestTeller_tells_of_checks_and_lives_as_long_as_its_runner(t *testing.T) {
	bus := newBus(t)
	sub := subscribe(t, bus, SubscribeOptions{Kinds: []string{TellCheckFinished}})
	r := newRunner(t, always("account-7"), func(context.Context, string) error { return errors.New("401") }, RunnerOptions{
		Teller: newTeller(t, bus, TellerOptions{Kinds: []string{TellCheckFinished}}),
	})
	event, told := hears(t, sub)
	if event.Key != "account-7" || told["id"] != "account-7" || told["verdict"] != "failed" || told["was_stuck"] != false {
		t.Fatal(event, told)
	}
	runtime.GC() // nobody has the teller but the runner
	until(t, "it is given back", func() bool { return len(r.InFlight()) == 0 })
	r.RoundNow()
	if event, _ := hears(t, sub); event.N != 2 {
		t.Fatal(event)
	}
}

func TestTeller_says_what_it_cannot_tell(t *testing.T) {
	bus := newBus(t)
	if _, err := NewTeller(bus, TellerOptions{Kinds: []string{"slot.released"}}); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	if _, err := NewTeller(nil, TellerOptions{}); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	teller := newTeller(t, bus, TellerOptions{Kinds: []string{TellGranted}, SecretScopes: []string{"user"}})
	pool, err := NewPool(PoolOptions{Teller: teller})
	if err != nil {
		t.Fatal(err)
	}
	sub := subscribe(t, bus, SubscribeOptions{})
	take := func(key Key) {
		slot, err := pool.Acquire(soon(t), key, 1)
		if err != nil {
			t.Fatal(err)
		}
		slot.Release()
	}
	take(User(42))
	if event, _ := hears(t, sub); event.Key != "" {
		t.Fatal("a secret is told:", event.Key)
	}
	take(APIKey("k"))
	if event, _ := hears(t, sub); event.Key != "k" {
		t.Fatal("other scopes than those named are not secret:", event.Key)
	}
	bus.Close()
	take(User(42))
	if teller.Failed() != 1 || (*Teller)(nil).Failed() != 0 {
		t.Fatal(teller.Failed())
	}
	if _, err := NewPool(PoolOptions{HeldLong: -1}); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
}
