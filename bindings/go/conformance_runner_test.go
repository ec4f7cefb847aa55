//go:build cgo

package reqbus

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// runnerScript is what a case of a runner has made: an admission on a driven clock.
type runnerScript struct {
	clock     scriptClock
	admission *Admission
	permits   map[string]*Permit // those that are out
	listed    uint64             // items in the lists of rounds that were neither refused nor passed over
}

// runRunnerCase runs a case; isFirstClosed: the admission ends before its permits are given back, not after.
func runRunnerCase(c testCase, isFirstClosed bool) error {
	s := &runnerScript{clock: newScriptClock(), permits: map[string]*Permit{}}
	defer s.clock.free()
	err := attempt(func() { s.begin(c) })
	if err != nil || s.admission == nil {
		return err
	}
	if err := runSteps(c, s.do, s.addsUp); err != nil {
		return err
	}
	return attempt(func() { s.end(isFirstClosed) })
}

func (s *runnerScript) begin(c testCase) {
	f := fieldsOf(map[string]any(c))
	f.needText("name")
	f.get("about")
	f.texts("from")
	f.needList("steps")
	how := f.object("runner")
	ms := func(name string) time.Duration { return time.Duration(how.numberOr(name, 0)) * time.Millisecond }
	options := RunnerOptions{
		Every: ms("every_ms"), Limit: ms("limit_ms"), Jitter: ms("jitter_ms"), AtOnce: int(how.numberOr("at_once", 0)),
	}
	if seed, ok := how.number("seed"); ok {
		seed := uint64(seed)
		options.Seed = &seed
	}
	var err error
	s.admission, err = s.clock.newAdmission(options)
	answered(how, err)
	how.done()
	f.done()
}

func (s *runnerScript) do(word string, f *fields) {
	switch word {
	case "round":
		s.round(f)
	case "fail_round":
		s.admission.FailRound()
	case "finish":
		verdicts := map[string]Verdict{"succeeded": Succeeded, "failed": CheckFailed, "panicked": CheckPanicked}
		permit, verdict := s.take(f), verdicts[f.needText("verdict")]
		if permit.Finish(99) || !permit.Finish(verdict) || permit.Finish(verdict) || !permit.ShouldEnd() {
			fail("not given back once")
		}
	case "drop":
		permit := s.take(f)
		permit.Close()
		permit.Close()
	case "pause":
		paused, _ := f.yes("paused")
		s.admission.Pause(paused)
	case "paused":
		f.sameYes("answer", s.admission.IsPaused())
	case "stop":
		s.admission.Stop()
	case "advance":
		s.clock.advance(time.Duration(f.needNumber("ms")) * time.Millisecond)
	case "until_next_round":
		wait := s.admission.UntilNextRound()
		f.sameNumber("ms", uint64(wait.Milliseconds()))
		if most, ok := f.number("at_most_ms"); ok && wait.Milliseconds() > most {
			fail("%v until the next round", wait)
		}
	case "in_flight":
		s.inFlight(f)
	case "permit":
		permit := s.permits[idOfField("of", f.need("of"))]
		if permit == nil {
			fail("no such permit")
		}
		f.sameYes("should_end", permit.ShouldEnd())
		f.sameNumber("left_ms", uint64(permit.TimeLeft().Milliseconds()))
	case "stats":
		s.stats(f)
	default:
		fail("unknown step")
	}
}

// idOfField is an id: a text, or one that is repeated.
func idOfField(name string, value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	f := fieldsOf(value)
	defer f.done()
	if _, ok := f.get("text"); !ok {
		fail("%s is no id", name)
	}
	return strings.Repeat(f.needText("text"), int(f.needNumber("times")))
}

func (s *runnerScript) take(f *fields) *Permit {
	id := idOfField("id", f.need("id"))
	permit := s.permits[id]
	if permit == nil {
		fail("no permit of %q", id)
	}
	delete(s.permits, id)
	return permit
}

func (s *runnerScript) round(f *fields) {
	var due []Due
	for _, item := range f.needList("due") {
		pair, ok := item.([]any)
		if !ok || len(pair) != 2 {
			fail("%v is not due", item)
		}
		due = append(due, Due{idOfField("due", pair[0]), time.Duration(numberOf("overdue", pair[1])) * time.Millisecond})
	}
	permits, err := s.admission.Admit(due, int(f.numberOr("at_most", int64(len(due)))))
	if answered(f, err) && !s.admission.IsPaused() {
		s.listed += uint64(len(due))
	}
	var ids []string
	for _, permit := range permits {
		ids = append(ids, permit.ID())
		s.permits[permit.ID()] = permit
	}
	if list, ok := f.list("permits"); ok {
		var wants []string
		for _, id := range list {
			wants = append(wants, idOfField("permits", id))
		}
		if !slices.Equal(ids, wants) {
			fail("%q, not %q", ids, wants)
		}
	}
}

func (s *runnerScript) inFlight(f *fields) {
	flights, wants := s.admission.InFlight(), f.needList("is")
	if len(flights) != len(wants) {
		fail("%v are in flight", flights)
	}
	for at, flight := range flights {
		want := fieldsOf(wants[at])
		if id := idOfField("id", want.need("id")); id != flight.ID {
			fail("%q is in flight, not %q", flight.ID, id)
		}
		want.sameNumber("age_ms", uint64(flight.Age.Milliseconds()))
		want.sameYes("is_stuck", flight.IsStuck)
		want.done()
	}
}

func (s *runnerScript) stats(f *fields) {
	stats := s.admission.Stats()
	for name, got := range map[string]uint64{
		"rounds": stats.Rounds, "failed_rounds": stats.FailedRounds, "paused_rounds": stats.PausedRounds, "run": stats.Run,
		"succeeded": stats.Succeeded, "failed": stats.Failed, "panicked": stats.Panicked, "stuck": stats.Stuck,
		"skipped_busy": stats.SkippedBusy, "skipped_full": stats.SkippedFull, "late": stats.Late,
	} {
		f.sameNumber(name, got)
	}
}

// addsUp: after every step each permit is in flight and nothing else is, and each item and each check is counted once.
func (s *runnerScript) addsUp() {
	var flying []string
	for _, flight := range s.admission.InFlight() {
		flying = append(flying, flight.ID)
		if s.permits[flight.ID] == nil {
			fail("%q is in flight, and nobody checks it", flight.ID)
		}
	}
	stats := s.admission.Stats()
	if len(flying) != len(s.permits) ||
		stats.Run != stats.Succeeded+stats.Failed+stats.Panicked+uint64(len(flying)) ||
		s.listed != stats.Run+stats.SkippedBusy+stats.SkippedFull {
		fail("it does not add up: %+v, %q in flight, %d listed", stats, flying, s.listed)
	}
}

func (s *runnerScript) end(isFirstClosed bool) {
	if isFirstClosed {
		s.admission.Close()
		s.admission.Close()
		for _, permit := range s.permits {
			if !permit.ShouldEnd() {
				fail("%q was not told", permit.ID())
			}
		}
	}
	for id, permit := range s.permits {
		permit.Close()
		delete(s.permits, id)
	}
	s.addsUp()
	if wait := fmt.Sprint(s.admission.InFlight()); wait != "[]" {
		fail("%s are left", wait)
	}
}
