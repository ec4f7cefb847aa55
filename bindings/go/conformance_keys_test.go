//go:build cgo

package reqbus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// textValue is a text of a script: a text, or one that is repeated.
func textValue(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	f := fieldsOf(value)
	text := strings.Repeat(f.needText("text"), int(f.needNumber("times")))
	f.done()
	return text
}

func textOf(f *fields, name string) string {
	if value, ok := f.get(name); ok {
		return textValue(value)
	}
	return ""
}

func keyValue(value any) Key {
	pair, ok := value.([]any)
	if !ok || len(pair) != 2 {
		fail("not a key: %v", value)
	}
	return Key{textValue(pair[0]), textValue(pair[1])}
}

func limitValue(value any) Limit {
	if value == "unlimited" {
		return Unlimited
	}
	return Limit(numberOf("limit", value))
}

func asksOf(f *fields) []Ask {
	var asks []Ask
	for _, value := range f.needList("asks") {
		ask, ok := value.([]any)
		switch {
		case ok && len(ask) == 2:
			asks = append(asks, Ask{keyValue(value), NotGiven})
		case ok && len(ask) == 3:
			asks = append(asks, Ask{keyValue(ask[:2]), limitValue(ask[2])})
		default:
			fail("not an ask: %v", value)
		}
	}
	return asks
}

func keyAsJSON(key Key) any { return []any{key.Scope, key.ID} }

func keysAsJSON(keys []Key) (all []any) {
	for _, key := range keys {
		all = append(all, keyAsJSON(key))
	}
	return all
}

func limitAsJSON(limit Limit) any {
	switch limit {
	case Unlimited:
		return "unlimited"
	case NotGiven:
		return nil
	}
	return int64(limit)
}

func refusalAsJSON(err error) map[string]any {
	var failed *Error
	if !errors.As(err, &failed) {
		fail("not an Error: %v", err)
	}
	r := failed.Refusal
	if r == nil {
		r = &Refusal{Outcome: OutcomeInvalid, Limit: NotGiven}
	}
	all := map[string]any{
		"outcome": r.Outcome.String(), "scope": r.Scope, "limit": limitAsJSON(r.Limit), "in_use": r.InUse,
		"waiting": r.Waiting, "position": r.Position, "waited_ms": r.Waited.Milliseconds(), "pings": r.Pings,
		"retry_after_s": nil, "error": nil, "context": nil, "cause": nil,
	}
	if r.RetryAfter > 0 {
		all["retry_after_s"] = int(r.RetryAfter / time.Second)
	}
	switch r.Outcome {
	case OutcomeCancelled:
		if failed.cause != nil {
			all["cause"] = failed.cause.Error()
		}
	case OutcomeInvalid, OutcomeStoreUnavailable:
		all["error"], all["context"], all["cause"] = failed.Kind.Name(), failed.Context, failed.Message
	}
	return all
}

func loadAsJSON(load Load) any {
	all := map[string]any{
		"in_use": load.InUse, "waiting": load.Waiting, "limit": limitAsJSON(load.Limit), "rate": load.Rate,
		"lapsed": load.Lapsed, "is_closed": load.IsClosed, "has_room": load.HasRoom, "oldest_wait_ms": nil, "oldest_hold_ms": nil,
	}
	if load.Waiting > 0 {
		all["oldest_wait_ms"] = load.OldestWait.Milliseconds()
	}
	if load.InUse > 0 {
		all["oldest_hold_ms"] = load.OldestHold.Milliseconds()
	}
	return all
}

func counted(s SlotStats) map[string]any {
	return map[string]any{
		"granted": s.Granted, "granted_after_wait": s.GrantedAfterWait, "busy": s.Busy, "queue_full": s.QueueFull,
		"timed_out": s.TimedOut, "cancelled": s.Cancelled, "closed": s.Closed, "store_unavailable": s.StoreUnavailable,
		"lost": s.Lost, "leaked": s.Leaked, "lapsed_offers": s.LapsedOffers, "limit_changes": s.LimitChanges,
		"waits": s.Waits, "wait_p50_ms": s.WaitP50.Milliseconds(), "wait_p90_ms": s.WaitP90.Milliseconds(),
		"wait_p99_ms": s.WaitP99.Milliseconds(), "wait_max_ms": s.WaitMax.Milliseconds(),
	}
}

// doKeys does the steps about keys; false if it is none of them.
func (s *poolScript) doKeys(word string, f *fields) bool {
	ctx, timed := context.Background(), s.clock.isThere()
	var err error
	switch word {
	case "set_limit":
		key, limit := keyValue(f.need("key")), limitValue(f.need("limit"))
		s.clock.drive(func() { err = s.pool.SetLimit(ctx, key, limit) })
		answered(f, err)
	case "clear_limit", "close_key", "open_key":
		key := keyValue(f.need("key"))
		change := map[string]func(context.Context, Key) error{
			"clear_limit": s.pool.ClearLimit, "close_key": s.pool.CloseKey, "open_key": s.pool.OpenKey,
		}[word]
		s.clock.drive(func() { err = change(ctx, key) })
		answered(f, err)
	case "nonpositive_is_unlimited":
		limit, err := NonpositiveIsUnlimited(f.needNumber("number"))
		want, hasLimit := f.get("limit")
		if answered(f, err) && (!hasLimit || !equal(want, limitAsJSON(limit))) {
			fail("limit is %v, not %v", limit, want)
		}
	case "load":
		var loads []Load
		keys := s.keyList(f)
		s.clock.drive(func() { loads, err = s.pool.Load(ctx, keys...) })
		want, hasWant := f.list("is")
		if answered(f, err) {
			var got []any
			for _, load := range loads {
				got = append(got, loadAsJSON(load))
			}
			if !hasWant {
				fail("field is is missing")
			}
			sameList(want, got, timed)
		}
	case "order_by_load":
		var order []int
		keys := s.keyList(f)
		s.clock.drive(func() { order, err = s.pool.OrderByLoad(ctx, keys...) })
		want, _ := f.get("is")
		if answered(f, err) && !equal(want, order) {
			fail("the order is %v", order)
		}
	case "holders", "held_longer_than":
		s.holderLists(word, f)
	case "holder":
		key, label := keyValue(f.need("key")), f.needText("label")
		var holders []Holder
		s.clock.drive(func() { holders, err = s.pool.Holders(ctx, key) })
		at := slices.IndexFunc(holders, func(h Holder) bool { return h.Label == label })
		name := f.needText("as")
		if _, ok := s.holders[name]; ok || at < 0 {
			fail("no holder has that label, or the name was used before: %v", err)
		}
		s.holders[name] = holders[at].Number
	case "force":
		key := keyValue(f.need("key"))
		number, ok := s.holders[f.needText("holder")]
		if !ok {
			fail("no such holder")
		}
		var wasHeld bool
		s.clock.drive(func() { wasHeld, err = s.pool.Force(ctx, key, number) })
		if answered(f, err) {
			f.sameYes("was_held", wasHeld)
		}
	case "key_stats":
		var got any
		if stats, ok := s.pool.KeyStats(keyValue(f.need("key"))); ok {
			all := counted(stats)
			all["peak"], all["mean_hold_ms"] = stats.Peak, nil
			if stats.MeanHold > 0 {
				all["mean_hold_ms"] = stats.MeanHold.Milliseconds()
			}
			got = all
		}
		same(f.need("is"), got, timed)
	case "scope_stats":
		same(f.need("is"), counted(s.pool.ScopeStats(textOf(f, "scope"))), timed)
	case "known_keys":
		count := s.pool.KnownKeys()
		f.sameNumber("count", uint64(count))
		if most, ok := f.number("at_most"); ok && int64(count) > most {
			fail("%d keys", count)
		}
	case "touch":
		scope := f.needText("scope")
		for number := range f.needNumber("count") {
			ask := []Ask{{Key{scope, fmt.Sprint(number + 1)}, 1}}
			var slot *Slot
			s.clock.drive(func() { slot, err = s.pool.TryAcquire(ask, "") })
			if err != nil {
				fail("%v", err)
			}
			slot.Release()
			s.clock.settle()
		}
	default:
		return false
	}
	return true
}

func (s *poolScript) keyList(f *fields) (keys []Key) {
	for _, value := range f.needList("keys") {
		keys = append(keys, keyValue(value))
	}
	return keys
}

func (s *poolScript) holderLists(word string, f *fields) {
	var holders []Holder
	var err error
	if word == "holders" {
		key := keyValue(f.need("key"))
		s.clock.drive(func() { holders, err = s.pool.Holders(context.Background(), key) })
	} else {
		age := time.Duration(f.needNumber("ms")) * time.Millisecond
		s.clock.drive(func() { holders, err = s.pool.HeldLongerThan(context.Background(), age) })
	}
	want, _ := f.list("is")
	if !answered(f, err) {
		return
	}
	// Oldest first for each key; the order of keys is not told.
	slices.SortStableFunc(holders, func(a, b Holder) int {
		return strings.Compare(a.Key.Scope+"\x00"+a.Key.ID, b.Key.Scope+"\x00"+b.Key.ID)
	})
	var got []any
	for _, h := range holders {
		got = append(got, map[string]any{"key": keyAsJSON(h.Key), "label": h.Label, "age_ms": h.Age.Milliseconds()})
	}
	sameList(want, got, s.clock.isThere())
}

// doBackoff does the steps about backoffs; false if it is none of them.
func (s *poolScript) doBackoff(word string, f *fields) bool {
	named := func(field string) *Backoff {
		b := s.backoffs[f.needText(field)]
		if b == nil {
			fail("%s names no backoff", field)
		}
		return b
	}
	switch word {
	case "backoff":
		options := BackoffOptions{
			First: time.Duration(f.numberOr("first_ms", 0)) * time.Millisecond,
			Cap:   time.Duration(f.numberOr("cap_ms", 0)) * time.Millisecond,
		}
		if first, ok := f.number("first_ms"); ok && first == 0 {
			options.First = -1 // in Go 0 is the default, and this is how nothing is said
		}
		if longest, ok := f.number("cap_ms"); ok && longest == 0 {
			options.Cap = -1
		}
		seed, isSeeded := f.number("seed")
		isRandom, _ := f.yes("random")
		if isSeeded {
			number := uint64(seed)
			options.Seed = &number
		}
		options.Exact = !isSeeded && !isRandom
		made, err := NewBackoff(options)
		name := f.needText("as")
		if answered(f, err) {
			if s.backoffs[name] != nil {
				fail("the name %s was used before", name)
			}
			s.backoffs[name] = made
		}
	case "delays":
		s.delays(f, named)
	case "reset":
		named("of").Reset()
	case "attempt":
		f.sameNumber("is", uint64(named("of").Attempt()))
	default:
		return false
	}
	return true
}

func (s *poolScript) delays(f *fields, named func(string) *Backoff) {
	us, hasUs := f.list("us")
	count := f.numberOr("count", int64(len(us)))
	take := func(b *Backoff) (all []int64) {
		for range count {
			all = append(all, b.Next().Microseconds())
		}
		return all
	}
	got := take(named("of"))
	if hasUs && !equal(us, got) {
		fail("they are %v", got)
	}
	if _, ok := f.get("same_as"); ok {
		isSame, said := f.yes("is_same")
		if other := take(named("same_as")); equal(got, other) != (isSame || !said) {
			fail("%v and %v", got, other)
		}
	}
	distinct, sum := map[int64]bool{}, int64(0)
	least, most := f.numberOr("least_us", 0), f.numberOr("most_us", 1<<62)
	for _, delay := range got {
		if delay < least || delay > most {
			fail("out of bounds: %v", got)
		}
		distinct[delay] = true
		sum += delay
	}
	if int64(len(distinct)) < f.numberOr("distinct_at_least", 0) {
		fail("only %v differ", slices.Collect(maps.Keys(distinct)))
	}
	if above, ok := f.number("mean_above_us"); ok && sum/max(count, 1) <= above {
		fail("their mean is %d", sum/count)
	}
}
