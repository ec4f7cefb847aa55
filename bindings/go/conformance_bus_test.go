//go:build cgo

package reqbus

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// busScript is what a case of a bus has made.
type busScript struct {
	bus    *Bus
	clock  scriptClock
	subs   map[string]*Subscription // freed ones stay, as nil: names are not used twice
	guards map[string]*Guard
	most   int
}

func runBusCase(c testCase, most int) error {
	s := &busScript{subs: map[string]*Subscription{}, guards: map[string]*Guard{}, most: most}
	defer s.end()
	if err := attempt(func() { s.begin(c) }); err != nil {
		return fmt.Errorf("%s: %w", c.name(), err)
	}
	return runSteps(c, s.do, s.addsUp)
}

func (s *busScript) begin(c testCase) {
	f := fieldsOf(map[string]any(c))
	f.needText("name")
	f.get("about")
	f.needList("steps")
	how := f.object("bus")
	options := BusOptions{
		LogEvents: int(how.numberOr("log_events", 0)),
		LogBytes:  int(how.numberOr("log_bytes", 0)),
		ResumeAge: time.Duration(how.numberOr("resume_age_ms", 0)) * time.Millisecond,
	}
	if resume, ok := how.yes("resume"); ok {
		options.NoResume = !resume
	}
	how.done()
	f.done()
	var err error
	if c.has("advance") {
		s.clock = newScriptClock()
		s.bus, err = s.clock.newBus(options)
	} else {
		s.bus, err = NewBus(options)
	}
	if err != nil {
		fail("%v", err)
	}
}

func (s *busScript) end() {
	for _, guard := range s.guards {
		guard.Close()
	}
	for _, sub := range s.subs {
		sub.Close()
	}
	if s.bus != nil {
		s.bus.Close()
	}
	s.clock.free()
}

func (s *busScript) do(word string, f *fields) {
	switch word {
	case "publish":
		event := newEvent(f)
		for range f.numberOr("times", 1) {
			_, err := s.bus.PublishEvent(event)
			answered(f, err)
		}
	case "publish_many":
		var events []NewEvent
		for _, value := range f.needList("events") {
			one := fieldsOf(value)
			events = append(events, newEvent(one))
			one.done()
		}
		_, err := s.bus.PublishMany(events)
		answered(f, err)
	case "publish_request":
		answered(f, s.bus.Publish(RequestEvent{
			Timestamp: time.UnixMilli(f.needNumber("time_ms")), Method: f.needText("method"), Path: f.needText("path"),
			Model: f.needText("model"), AccountID: f.needNumber("account_id"), Status: RequestStatus(f.needText("status")),
			Latency: time.Duration(f.needNumber("latency_ms")) * time.Millisecond, Key: f.text("key", ""), Extra: f.text("extra", ""),
		}))
	case "subscribe":
		s.subscribe(f)
	case "recv":
		s.recv(f)
	case "recv_texts":
		s.recvTexts(f)
	case "stats":
		stats := s.sub(f, "of").Stats()
		f.sameNumber("resyncs", stats.Resyncs)
		sameCounts(f, stats)
	case "totals":
		stats := s.bus.Stats()
		f.sameNumber("abandoned", stats.Totals.Abandoned)
		f.sameNumber("subscriptions", stats.Subscriptions)
		sameCounts(f, stats.Totals)
	case "consumers":
		s.consumers(f)
	case "settled":
		f.sameNumber("seq", s.sub(f, "of").Settled().Seq)
	case "heartbeat":
		compareItems([]any{s.fillIn(f.needText("text"))}, []any{s.sub(f, "of").Heartbeat(form(f))})
	case "newest":
		f.sameNumber("seq", s.bus.Newest().Seq)
	case "wanted":
		kind, err := s.bus.Kind(f.needText("kind"))
		if err != nil {
			fail("%v", err)
		}
		f.sameYes("answer", s.bus.Wanted(kind))
	case "status":
		source, state := f.needText("source"), f.needText("state")
		detail := strings.Repeat(f.text("detail", ""), int(f.numberOr("detail_times", 1)))
		for _, source := range numbered(f, source) {
			answered(f, s.bus.SetStatus(source, state, detail))
		}
	case "audience":
		f.sameNumber("count", uint64(s.bus.AudienceCount(f.needText("name"))))
	case "guard":
		guard, taken := s.sub(f, "of").CleanupGuard()
		f.sameYes("taken", taken)
		if name := f.needText("as"); taken {
			s.guards[name] = guard
		}
	case "expired":
		f.sameYes("answer", s.guard(f, "of").IsExpired())
	case "release":
		f.sameYes("in_force", s.guard(f, "what").Release())
		delete(s.guards, f.needText("what"))
	case "abort":
		f.sameYes("is_member", s.guard(f, "what").Abort())
		delete(s.guards, f.needText("what"))
	case "advance":
		s.clock.advance(time.Duration(f.needNumber("ms")) * time.Millisecond)
	case "close":
		s.close(f)
	case "free":
		s.sub(f, "what").Close()
		s.subs[f.needText("what")] = nil
	default:
		fail("unknown step %s", word)
	}
}

func (s *busScript) sub(f *fields, field string) *Subscription {
	sub := s.subs[f.needText(field)]
	if sub == nil {
		fail("%s names no subscription", field)
	}
	return sub
}

func (s *busScript) guard(f *fields, field string) *Guard {
	guard := s.guards[f.needText(field)]
	if guard == nil {
		fail("no such guard")
	}
	return guard
}

func (s *busScript) fillIn(text string) string {
	text = strings.ReplaceAll(text, "{epoch}", fmt.Sprintf("%016x", s.bus.Epoch()))
	return strings.ReplaceAll(text, "{other}", fmt.Sprintf("%016x", s.bus.Epoch()^1))
}

func newEvent(f *fields) NewEvent {
	event := NewEvent{Kind: f.needText("kind"), Key: f.text("key", ""), Sort: Text}
	payloads := 0
	times, repeats := f.number("text_times")
	if text, ok := f.get("text"); ok {
		payloads++
		if !repeats {
			times = 1
		}
		event.Payload = []byte(strings.Repeat(text.(string), int(times)))
	} else if repeats {
		payloads++
	}
	if text, ok := f.get("json"); ok {
		payloads++
		event.Sort, event.Payload = JSON, []byte(text.(string))
	}
	if text, ok := f.get("base64"); ok {
		payloads++
		bytes, err := base64.StdEncoding.DecodeString(text.(string))
		if err != nil {
			fail("%v", err)
		}
		event.Sort, event.Payload = Bytes, bytes
	}
	if payloads > 1 {
		fail("more than one payload")
	}
	if ms, ok := f.number("time_ms"); ok {
		event.Time = time.UnixMilli(ms)
	}
	return event
}

func (s *busScript) subscribe(f *fields) {
	name := f.needText("as")
	if _, ok := s.subs[name]; ok {
		fail("the name %s was used before", name)
	}
	starts := map[string]Start{"live": Live, "oldest": Oldest, "after": After}
	start, ok := starts[f.text("start", "live")]
	if !ok {
		fail("no such start")
	}
	overflows := map[string]Overflow{"drop_newest": DropNewest, "drop_oldest": DropOldest, "catch_up": CatchUp}
	overflow, ok := overflows[f.text("overflow", "drop_newest")]
	if !ok {
		fail("no such overflow")
	}
	options := SubscribeOptions{
		Start: start, Overflow: overflow, Keys: f.texts("keys"), Kinds: f.texts("kinds"), Label: f.text("label", ""),
		After:    strings.Repeat(s.fillIn(f.text("after", "")), int(f.numberOr("after_times", 1))),
		Capacity: int(f.numberOr("capacity", 0)), CapacityBytes: int(f.numberOr("capacity_bytes", 0)),
		PID: int(f.numberOr("pid", 0)), Audience: f.text("audience", ""),
	}
	if wait, ok := f.number("audience_wait_ms"); ok {
		if wait != 0 {
			fail("a step must not wait")
		}
		options.AudienceWait = -1
	}
	sub, err := s.bus.Subscribe(context.Background(), options)
	if isFirst, ok := f.yes("is_first"); ok && err == nil && isFirst != sub.IsFirst() {
		fail("is_first is %v", sub.IsFirst())
	}
	if answered(f, err) {
		s.subs[name] = sub
	}
}

func (s *busScript) close(f *fields) {
	if f.needText("what") == "bus" {
		s.bus.Close()
		return
	}
	sub := s.sub(f, "what")
	before := sub.core.wasLast.Swap(-1)
	sub.Stop()
	got := map[int32]any{1: true, 0: false, -1: nil}[sub.core.wasLast.Load()]
	if want, ok := f.get("was_last"); ok && !equal(want, got) {
		fail("was_last is %v, not %v", got, want)
	}
	sub.core.wasLast.CompareAndSwap(-1, before)
}

// addsUp is promise B2, after every step and for each subscription.
func (s *busScript) addsUp() {
	all := []ReadStats{s.bus.Stats().Totals}
	for _, sub := range s.subs {
		if sub != nil {
			all = append(all, sub.Stats())
		}
	}
	for _, stats := range all {
		if stats.Matched != stats.Delivered+stats.Lost()+stats.Pending+stats.Abandoned {
			fail("the account does not add up: %+v", stats)
		}
	}
}
