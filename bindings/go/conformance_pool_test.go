//go:build cgo

package reqbus

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"
	"time"
)

// By which of its faces a wait is looked at.
type face string

const (
	faceTry  face = "try"
	faceNext face = "next"
	// faceLine looks by trying, at a pool on a store behind a line: nothing is answered within the call.
	faceLine face = "line"
)

// poolScript is what a case of a pool has made.
type poolScript struct {
	face     face
	pool     *Pool
	core     *poolCore // outlives the pool, as its slots do
	refused  map[string]error
	clock    scriptClock
	slots    map[string]*Slot // dropped ones stay, as nil: names are not used twice
	waits    map[string]*Wait
	backoffs map[string]*Backoff
	holders  map[string]uint64
	keys     []Key // that were asked for
	leaks    []any
	// isWatched: look at the keys after each step. Not where a leak must be found by the step itself.
	isWatched bool
}

func runPoolCase(t *testing.T, c testCase) {
	for _, face := range []face{faceTry, faceNext, faceLine} {
		if face == faceLine && (!hasTestClock || !isForLine(c)) || face == faceTry && isCollecting {
			continue
		}
		s := &poolScript{
			face: face, slots: map[string]*Slot{}, waits: map[string]*Wait{}, backoffs: map[string]*Backoff{},
			holders: map[string]uint64{}, refused: map[string]error{}, isWatched: !c.has("leak"),
		}
		err := attempt(func() { s.begin(c) })
		if err == nil {
			err = runSteps(c, s.do, s.addsUp)
		}
		if err == nil {
			err = attempt(s.end)
		}
		s.clock.free()
		if err != nil {
			t.Errorf("%v\n    (face %s)", err, face)
		}
	}
}

// isForLine says whether a case can be run on a store behind a line: not what is about the memory store's own rows, or
// about what is known before anything was answered.
func isForLine(c testCase) bool { return lineSkips[c.name()] == "" && c["memory_only"] == nil }

func (s *poolScript) begin(c testCase) {
	f := fieldsOf(map[string]any(c))
	f.needText("name")
	f.get("about")
	f.get("memory_only")
	f.texts("from")
	f.needList("steps")
	how := f.object("pool")
	options := PoolOptions{
		First: how.texts("first"), Last: how.texts("last"), Processes: int(how.numberOr("processes", 0)),
		OnLeak: func(leak Leak) {
			s.leaks = append(s.leaks, map[string]any{
				"key": []any{leak.Key.Scope, leak.Key.ID}, "label": leak.Label, "age_ms": leak.Age.Milliseconds(),
			})
		},
	}
	how.done()
	f.done()
	var err error
	switch {
	case s.face == faceLine:
		s.clock = newScriptClock()
		s.pool, err = s.clock.newPoolOnLine(options)
	case c.has("advance"):
		s.clock = newScriptClock()
		s.pool, err = s.clock.newPool(options)
	default:
		s.pool, err = NewPool(options)
	}
	if err != nil {
		fail("%v", err)
	}
	s.core = s.pool.core
}

func (s *poolScript) do(word string, f *fields) {
	switch word {
	case "try":
		s.try(f)
	case "try_first_of":
		s.tryFirstOf(f)
	case "wait":
		s.wait(f, false)
	case "wait_on_top":
		s.wait(f, true)
	case "look":
		s.look(f)
	case "position":
		f.sameNumber("is", uint64(s.waitOf(f, "of").Position()))
	case "cancel":
		var cause error
		if text, ok := f.get("cause"); ok {
			cause = fmt.Errorf("%s", text)
		}
		s.waitOf(f, "what").Cancel(cause)
		s.clock.settle()
	case "release":
		got := s.slot(f, "what").Release()
		s.clock.settle()
		if want := f.text("expect", "released"); want != string(got) {
			fail("%s, not %s", got, want)
		}
	case "release_scope":
		got := s.slot(f, "what").ReleaseScope(textOf(f, "scope"))
		s.clock.settle()
		// C and Go say "already" of a scope that the slot has not.
		if want := f.text("expect", "released"); want != string(got) && (want != "none" || got != AlreadyReleased) {
			fail("%s, not %s", got, want)
		}
	case "join":
		err := s.slot(f, "to").Join(s.slot(f, "from"))
		s.clock.settle()
		answered(f, err)
	case "keys":
		sameKeys(f.needList("expect"), s.slot(f, "of"))
	case "lost":
		if got, want := s.slot(f, "of").LossReason().String(), f.needText("expect"); got != want {
			fail("%s, not %s", got, want)
		}
	case "leak":
		s.slot(f, "what").holding().leak()
		s.slots[f.needText("what")] = nil
	case "told_leaks":
		s.core.tell()
		sameList(f.needList("is"), s.leaks, s.clock.isThere())
		s.leaks = nil
	case "leaked":
		f.sameNumber("count", s.pool.Leaked())
		s.clock.settle()
	case "drop":
		s.drop(f)
	case "close":
		s.poolOf().Close()
		s.clock.settle()
	case "advance":
		s.clock.advance(time.Duration(f.needNumber("ms")) * time.Millisecond)
		s.clock.settle()
	default:
		if !s.doKeys(word, f) && !s.doBackoff(word, f) {
			fail("unknown step %s", word)
		}
	}
}

func (s *poolScript) poolOf() *Pool {
	if s.pool == nil {
		fail("the pool is gone")
	}
	return s.pool
}

func (s *poolScript) slot(f *fields, field string) *Slot {
	slot := s.slots[f.needText(field)]
	if slot == nil {
		fail("%s names no slot", field)
	}
	return slot
}

func (s *poolScript) waitOf(f *fields, field string) *Wait {
	wait := s.waits[f.needText(field)]
	if wait == nil {
		fail("%s names no wait", field)
	}
	return wait
}

func (s *poolScript) isNew(name string) {
	_, isSlot := s.slots[name]
	_, isWait := s.waits[name]
	if isSlot || isWait || name == "pool" {
		fail("the name %s was used before", name)
	}
}

func (s *poolScript) drop(f *fields) {
	name := f.needText("what")
	if name == "pool" {
		// What the clean-up does, now.
		s.poolOf().Close()
		s.pool = nil
		untilFreed(s.core)
	} else if wait, ok := s.waits[name]; ok {
		if wait == nil {
			fail("it is gone")
		}
		wait.Close()
		s.waits[name] = nil
	} else {
		s.slot(f, "what").Release()
		s.slots[name] = nil
	}
	s.clock.settle()
}

func (s *poolScript) ask(f *fields) []Ask {
	asks := asksOf(f)
	for _, ask := range asks {
		ok := 0 < len(ask.Key.Scope) && len(ask.Key.Scope) <= 255 && 0 < len(ask.Key.ID) && len(ask.Key.ID) <= 255
		if ok && !slices.Contains(s.keys, ask.Key) {
			s.keys = append(s.keys, ask.Key)
		}
	}
	return asks
}

// cameTo compares what a call came to with field expect, and keeps the slot under its name.
func (s *poolScript) cameTo(f *fields, slot *Slot, err error) {
	want, ok := f.get("expect")
	if !ok {
		want = "granted"
	}
	keys, hasKeys := f.list("keys")
	if err == nil {
		if want != "granted" {
			fail("granted, not %v", want)
		}
		if hasKeys {
			sameKeys(keys, slot)
		}
		name := f.needText("as")
		s.isNew(name)
		s.slots[name] = slot
		return
	}
	refusal := refusalAsJSON(err)
	if wants, ok := want.(map[string]any); ok {
		if _, ok := wants["outcome"].(string); !ok {
			fail("outcome is missing")
		}
		if outcome := wants["outcome"]; s.clock.isOnLine() && (outcome == "cancelled" || outcome == "timed_out") {
			// It ended before the store could say how the key stands.
			wants = maps.Clone(wants)
			for _, name := range []string{"position", "in_use", "limit", "waiting", "retry_after_s"} {
				delete(wants, name)
			}
			want = wants
		}
		same(want, refusal, s.clock.isThere())
	} else if want != refusal["outcome"] {
		fail("%v (%v), not %v", refusal, err, want)
	}
}

func (s *poolScript) try(f *fields) {
	asks, label := s.ask(f), textOf(f, "label")
	var slot *Slot
	var err error
	s.clock.drive(func() {
		if s.face == faceNext {
			slot, err = s.poolOf().AcquireAll(context.Background(), asks, Label(label), Timeout(0))
		} else {
			slot, err = s.poolOf().TryAcquire(asks, label)
		}
	})
	s.cameTo(f, slot, err)
}

func (s *poolScript) tryFirstOf(f *fields) {
	asks, label := s.ask(f), textOf(f, "label")
	var which int
	var slot *Slot
	var err error
	s.clock.drive(func() { which, slot, err = s.poolOf().TryFirstOf(asks, label) })
	var chosen any
	if err == nil {
		chosen = which
	}
	if want, ok := f.get("chosen"); ok && !equal(want, chosen) {
		fail("chosen is %v", chosen)
	}
	s.cameTo(f, slot, err)
}

func (s *poolScript) wait(f *fields, onTop bool) {
	asks := s.ask(f)
	options := WaitOptions{Label: textOf(f, "label")}
	if timeout, ok := f.number("timeout_ms"); ok {
		options.Timeout = time.Duration(timeout) * time.Millisecond
		options.Try = timeout == 0
	}
	if most, ok := f.number("max_waiting"); ok {
		options.MaxWaiting = int(most)
		options.Try = options.Try || most == 0
	}
	if every, ok := f.get("ping_every_ms"); ok && every == nil {
		options.PingEvery = -1
	} else if ok {
		options.PingEvery = time.Duration(f.needNumber("ping_every_ms")) * time.Millisecond
	}
	name := f.needText("as")
	s.isNew(name)
	var wait *Wait
	var err error
	if onTop {
		wait, err = s.poolOf().WaitOnTop(s.slot(f, "on"), asks, options)
	} else {
		wait, err = s.poolOf().Wait(asks, options)
	}
	if err != nil {
		s.refused[name] = err // told at once, not by the first look
		s.waits[name] = nil
		return
	}
	s.clock.settle()
	f.sameNumber("position", uint64(wait.Position()))
	s.waits[name] = wait
}

func (s *poolScript) look(f *fields) {
	if err := s.refused[f.needText("at")]; err != nil {
		s.cameTo(f, nil, err)
		return
	}
	wait := s.waitOf(f, "at")
	step, slot, err := wait.Try()
	if s.face == faceNext && step == Nothing {
		// A second look, which sleeps.
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Microsecond)
		defer cancel()
		step, slot, err = wait.Next(ctx)
	}
	for round := 0; s.clock.isOnLine() && step == Nothing && round < 8; round++ {
		// One key after the other is claimed as the owner looks.
		s.clock.settle()
		step, slot, err = wait.Try()
	}
	s.clock.settle()
	switch step {
	case Nothing, PingDue:
		if want := f.need("expect"); want != step.String() {
			fail("%v, not %v", step, want)
		}
	case Granted:
		s.cameTo(f, slot, nil)
		if f.text("expect", "") != "granted" {
			fail("granted, not said so")
		}
	default:
		if _, ok := f.get("expect"); !ok {
			fail("ended, and expect is missing")
		}
		s.cameTo(f, nil, err)
	}
}

func (s *poolScript) load(key Key) (load Load) {
	s.clock.drive(func() {
		loads, err := s.pool.Load(context.Background(), key)
		if err == nil {
			load = loads[0]
		} else {
			load.InUse = -1
		}
	})
	return load
}

// addsUp is promise S1, after every step and for each key: the count is that of the set of holders.
func (s *poolScript) addsUp() {
	if !s.isWatched || s.pool == nil {
		return
	}
	for _, key := range s.keys {
		var holders []Holder
		s.clock.drive(func() { holders, _ = s.pool.Holders(context.Background(), key) })
		if load := s.load(key); load.InUse != len(holders) {
			fail("%v: %d in use, %d holders", key, load.InUse, len(holders))
		}
	}
}

// end is promise S2: whatever was granted has been given back, and nobody waits.
func (s *poolScript) end() {
	for _, wait := range s.waits {
		wait.Close()
	}
	for _, slot := range s.slots {
		slot.Release()
	}
	s.clock.settle()
	if s.pool == nil {
		return
	}
	for _, key := range s.keys {
		if load := s.load(key); load.InUse != 0 || load.Waiting != 0 {
			fail("%v is left behind: %+v", key, load)
		}
	}
	s.pool.Close()
}

// untilFreed collects a pool that nobody has any more.
func untilFreed(core *poolCore) {
	for range 100 {
		runtime.GC()
		time.Sleep(time.Millisecond)
		if core.isFreed.Load() {
			return
		}
	}
	fail("the pool is not collected")
}

// sameKeys compares the keys of a slot. The C ABI lists what a slot holds, not what it has lost.
func sameKeys(want []any, slot *Slot) {
	got := keysAsJSON(slot.Keys())
	if slot.LossReason() != NotLost {
		want = slices.DeleteFunc(slices.Clone(want), func(key any) bool {
			return !slices.ContainsFunc(got, func(other any) bool { return equal(key, other) })
		})
	}
	sameList(want, got, true)
}
