//go:build cgo

package reqbus

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The tests of the runner that gateways have. Nothing here waits for a time to pass, but for something to
// happen. Those of its schedule by item are in package dropin.

func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := soon(t); !is(); time.Sleep(time.Millisecond) {
		if deadline.Err() != nil {
			t.Fatal("never: ", what)
		}
	}
}

// always says that the same ids are due.
func always(ids ...string) func(context.Context) ([]Due, error) {
	return func(context.Context) ([]Due, error) {
		var due []Due
		for _, id := range ids {
			due = append(due, Due{ID: id})
		}
		return due, nil
	}
}

// fast is a runner whose rounds come every millisecond.
func fast(options RunnerOptions) RunnerOptions {
	options.Every = time.Millisecond
	return options
}

func newRunner(
	t testing.TB, due func(context.Context) ([]Due, error), check func(context.Context, string) error, options RunnerOptions,
) *Runner {
	t.Helper()
	r, err := NewRunner(due, check, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRunner_checks_what_is_due_at_once_and_again(t *testing.T) {
	failing := errors.New("401")
	checked := make(chan string)
	var mu sync.Mutex
	told := map[string]error{}
	r := newRunner(t, always("well", "ill"), func(ctx context.Context, id string) error {
		checked <- id
		if id == "ill" {
			return failing
		}
		return nil
	}, fast(RunnerOptions{OnError: func(id string, err error) {
		mu.Lock()
		defer mu.Unlock()
		told[id] = err
	}}))
	seen := map[string]int{}
	for seen["well"] < 3 || seen["ill"] < 3 {
		seen[<-checked]++
	}
	go func() {
		for range checked {
		}
	}()
	if left, err := r.Stop(soon(t)); err != nil || left != nil {
		t.Fatal(left, err)
	}
	close(checked)
	stats := r.Stats()
	if stats.Succeeded < 3 || stats.Failed < 3 || stats.Run != stats.Succeeded+stats.Failed || len(told) != 1 || told["ill"] != failing {
		t.Fatalf("%+v, told %v", stats, told)
	}
}

func TestRunner_InFlight_AcquireReleaseSymmetric(t *testing.T) {
	a, err := NewAdmission(RunnerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	admit := func() []*Permit {
		permits, err := a.Admit([]Due{{ID: "a"}}, 9)
		if err != nil {
			t.Fatal(err)
		}
		return permits
	}
	first := admit()
	if len(first) != 1 || first[0].ID() != "a" || first[0].ShouldEnd() || first[0].TimeLeft() <= 0 {
		t.Fatal("first yes")
	}
	if len(admit()) != 0 || len(a.InFlight()) != 1 {
		t.Fatal("second no")
	}
	if !first[0].Finish(Succeeded) || first[0].Finish(Succeeded) {
		t.Fatal("given back once")
	}
	if again := admit(); len(again) != 1 || !again[0].Finish(CheckFailed) {
		t.Fatal("after the release yes")
	}
}

func TestRunner_MarkGivenBackAfterRefusedSubmit(t *testing.T) {
	a, err := NewAdmission(RunnerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	// The check never began: by hand, and by the collector.
	permits, _ := a.Admit([]Due{{ID: "a"}, {ID: "b"}}, 9)
	if len(permits) != 2 {
		t.Fatal(permits)
	}
	permits[0].Close()
	permits = nil
	until(t, "both are given back", func() bool { runtime.GC(); return len(a.InFlight()) == 0 })
	if stats := a.Stats(); stats.Panicked != 2 {
		t.Fatalf("%+v", stats)
	}
}

func TestRunner_MarkGivenBackAfterPanic(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the collector gives back what nobody has
	var calls atomic.Int64
	told := make(chan error, 1000)
	r := newRunner(t, always("a"), func(context.Context, string) error {
		switch calls.Add(1) {
		case 1:
			panic("boom")
		case 2:
			runtime.Goexit()
		}
		return nil
	}, fast(RunnerOptions{AtOnce: 1, OnError: func(id string, err error) { told <- err }}))
	until(t, "it is checked again", func() bool { return r.Stats().Succeeded > 0 })
	if _, err := r.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
	var first, second *PanicError
	if !errors.As(<-told, &first) || first.Value != "boom" || !strings.Contains(string(first.Stack), "MarkGivenBackAfterPanic") {
		t.Fatal(first)
	}
	if !errors.As(<-told, &second) || second.Value != nil {
		t.Fatal(second)
	}
	if stats := r.Stats(); stats.Panicked != 2 {
		t.Fatalf("%+v", stats)
	}
}

func TestRunner_goes_on_after_a_round_that_failed(t *testing.T) {
	var calls atomic.Int64
	failing := errors.New("no database")
	told := make(chan error, 1000)
	r := newRunner(t, func(context.Context) ([]Due, error) {
		switch calls.Add(1) {
		case 1:
			return nil, failing
		case 2:
			panic("boom")
		case 3:
			runtime.Goexit()
		case 4:
			return []Due{{ID: "a"}, {ID: ""}}, nil
		}
		return []Due{{ID: "a"}}, nil
	}, func(context.Context, string) error { return nil }, fast(RunnerOptions{OnError: func(id string, err error) {
		if id != "" {
			t.Error(id, err)
		}
		told <- err
	}}))
	until(t, "something is checked", func() bool { return r.Stats().Succeeded > 0 })
	if _, err := r.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
	var panicked *PanicError
	if err := <-told; err != failing {
		t.Fatal(err)
	}
	if err := <-told; !errors.As(err, &panicked) || panicked.Value != "boom" {
		t.Fatal(err)
	}
	if err := <-told; !errors.As(err, &panicked) || panicked.Value != nil {
		t.Fatal(err)
	}
	if err := <-told; !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	if stats := r.Stats(); stats.FailedRounds != 4 || stats.Rounds < 5 {
		t.Fatalf("%+v", stats)
	}
}

func TestRunner_DoubleStart(t *testing.T) {
	var asking, rounds atomic.Int64
	r := newRunner(t, func(context.Context) ([]Due, error) {
		if asking.Add(1) != 1 {
			t.Error("two loops ask")
		}
		runtime.Gosched()
		asking.Add(-1)
		rounds.Add(1)
		return nil, nil
	}, func(context.Context, string) error { return nil }, fast(RunnerOptions{}))
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := r.Start(); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	until(t, "100 rounds", func() bool { return rounds.Load() > int64(fewer(100)) })
	r.Close()
	r.Close()
	if _, err := r.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(); !errors.Is(err, ErrClosed) {
		t.Fatal("started after a stop:", err)
	}
}

func TestRunner_StopDuringSubmit(t *testing.T) {
	asked, goOn := make(chan struct{}), make(chan struct{})
	r := newRunner(t, func(ctx context.Context) ([]Due, error) {
		close(asked)
		<-goOn
		if ctx.Err() == nil {
			t.Error("who says what is due is told of the stop")
		}
		return []Due{{ID: "a"}}, nil
	}, func(context.Context, string) error { t.Error("checked after the stop"); return nil }, RunnerOptions{})
	<-asked
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if left, err := r.Stop(done); !errors.Is(err, context.Canceled) || len(left) != 0 {
		t.Fatal("it is still asking:", left, err)
	}
	close(goOn)
	if left, err := r.Stop(soon(t)); err != nil || left != nil || r.Stats().Run != 0 {
		t.Fatal(left, err)
	}
}

func TestRunner_stop_names_who_is_left_and_can_be_repeated(t *testing.T) {
	began, goOn := make(chan struct{}, 2), make(chan struct{})
	told := make(chan error, 2)
	r := newRunner(t, always("a", "b"), func(ctx context.Context, id string) error {
		began <- struct{}{}
		if id == "b" {
			<-ctx.Done()
			told <- context.Cause(ctx)
		}
		<-goOn
		return nil
	}, RunnerOptions{})
	<-began
	<-began
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() {
		left, err := r.Stop(ctx)
		if len(left) != 2 || left[0].Age < 0 || left[0].IsStuck {
			err = fmt.Errorf("%v are left", left)
		}
		stopped <- err
	}()
	until(t, "it is stopping", func() bool { return r.asking.Err() != nil })
	if r.checking.Err() != nil {
		t.Fatal("a check was cut off while the stop waits for it")
	}
	cancel()
	var failed *Error
	if err := <-stopped; !errors.Is(err, context.Canceled) || !errors.As(err, &failed) || failed.Kind != KindTimeout {
		t.Fatal(err)
	}
	if err := <-told; !errors.Is(err, ErrClosed) {
		t.Fatal("b was not told why:", err)
	}
	close(goOn)
	if left, err := r.Stop(soon(t)); err != nil || left != nil {
		t.Fatal(left, err)
	}
	if stats := r.Stats(); stats.Succeeded != 2 || len(r.InFlight()) != 0 {
		t.Fatalf("%+v", stats)
	}
}

func TestRunner_a_check_that_hangs_is_told_and_holds_up_nobody(t *testing.T) {
	goOn := make(chan struct{})
	cut := make(chan error, 1)
	var others atomic.Int64
	r := newRunner(t, always("hangs", "other"), func(ctx context.Context, id string) error {
		if id == "other" {
			others.Add(1)
			return nil
		}
		<-ctx.Done()
		cut <- ctx.Err()
		<-goOn
		return nil
	}, fast(RunnerOptions{Limit: time.Millisecond, AtOnce: 1}))
	if err := <-cut; err != context.DeadlineExceeded {
		t.Fatal(err)
	}
	before := others.Load()
	until(t, "its room is lent anew", func() bool { return others.Load() > before })
	flights := r.InFlight()
	if at := len(flights); at == 0 || flights[0].ID != "hangs" || !flights[0].IsStuck || flights[0].Age < time.Millisecond {
		t.Fatal(flights)
	}
	close(goOn)
	if _, err := r.Stop(soon(t)); err != nil || r.Stats().Stuck == 0 {
		t.Fatal(err, r.Stats())
	}
}

func TestRunner_never_runs_more_than_at_once_and_never_an_id_twice(t *testing.T) {
	var running [8]atomic.Int64
	var all, most atomic.Int64
	ids := []string{"0", "1", "2", "3", "4", "5", "6", "7"}
	r := newRunner(t, always(ids...), func(ctx context.Context, id string) error {
		if running[id[0]-'0'].Add(1) != 1 {
			t.Error("checked twice at once: ", id)
		}
		most.Store(max(most.Load(), all.Add(1)))
		runtime.Gosched()
		all.Add(-1)
		running[id[0]-'0'].Add(-1)
		return nil
	}, fast(RunnerOptions{AtOnce: 3}))
	until(t, "500 checks", func() bool { r.RoundNow(); return r.Stats().Run > uint64(fewer(500)) })
	if _, err := r.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
	stats := r.Stats()
	if most.Load() > 3 || stats.SkippedFull == 0 || stats.Run != stats.Succeeded {
		t.Fatal(most.Load(), stats)
	}
}

func TestRunner_pauses(t *testing.T) {
	var asked atomic.Int64
	r := newRunner(t, func(context.Context) ([]Due, error) {
		asked.Add(1)
		return nil, nil
	}, func(context.Context, string) error { return nil }, fast(RunnerOptions{}))
	until(t, "it asks", func() bool { return asked.Load() > 0 })
	r.Pause(true)
	passed := r.Stats().PausedRounds
	until(t, "rounds are passed over", func() bool { return r.Stats().PausedRounds > passed+3 })
	before := asked.Load()
	passed = r.Stats().PausedRounds
	until(t, "more of them", func() bool { return r.Stats().PausedRounds > passed+3 })
	if !r.IsPaused() || asked.Load() != before {
		t.Fatal("it asks what is due while paused")
	}
	r.Pause(false)
	until(t, "it goes on", func() bool { return asked.Load() > before })
}

func TestRunner_RoundNow_does_not_wait_for_the_next(t *testing.T) {
	checked := make(chan string)
	r := newRunner(t, always("a"), func(ctx context.Context, id string) error {
		checked <- id
		return nil
	}, RunnerOptions{Every: 24 * time.Hour})
	for range 3 {
		select {
		case <-checked:
		case <-soon(t).Done():
			t.Fatal("nothing is checked")
		}
		until(t, "the check is given back", func() bool { return len(r.InFlight()) == 0 })
		r.RoundNow()
	}
	<-checked
}

func TestRunner_a_check_may_close_its_own_runner(t *testing.T) {
	var r *Runner
	ready := make(chan struct{})
	r = newRunner(t, func(context.Context) ([]Due, error) { <-ready; return []Due{{ID: "a"}}, nil }, func(ctx context.Context, id string) error {
		return errors.Join(r.Close(), context.Cause(ctx))
	}, RunnerOptions{})
	close(ready)
	if left, err := r.Stop(soon(t)); err != nil {
		t.Fatal(left, err)
	}
	if stats := r.Stats(); stats.Run != stats.Failed {
		t.Fatalf("%+v", stats)
	}
}

func TestRunner_nil_and_wrong_options(t *testing.T) {
	var r *Runner
	if left, err := r.Stop(context.Background()); left != nil || errors.Join(err, r.Start(), r.Close()) != nil {
		t.Fatal(left, err)
	}
	r.Pause(true)
	r.RoundNow()
	if r.IsPaused() || r.InFlight() != nil || r.Stats() != (RunnerStats{}) {
		t.Fatal("a nil runner does something")
	}
	if _, err := NewRunner(nil, nil, RunnerOptions{}); !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	for field, options := range map[string]RunnerOptions{
		"every": {Every: -1}, "limit": {Limit: 25 * time.Hour}, "jitter": {Jitter: -1}, "at_once": {AtOnce: 1 << 40},
	} {
		var failed *Error
		if _, err := NewAdmission(options); !errors.As(err, &failed) || !errors.Is(err, ErrInvalid) || failed.Context != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestRunner_leaves_no_goroutine_behind(t *testing.T) {
	round := func() {
		r, err := NewRunner(always("a", "b"), func(context.Context, string) error { return nil }, RunnerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Stop(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	round()
	before := settled(t, level{1 << 30, 1 << 30, 1 << 30})
	rounds := 1000
	if testing.Short() || isCollecting {
		rounds = 50
	}
	for range rounds {
		round()
	}
	most := level{before.goroutines + 2, before.threads + 64, before.descriptors + 2}
	if after := settled(t, most); after.goroutines > most.goroutines || after.descriptors > most.descriptors {
		t.Fatalf("before %+v, after %+v", before, after)
	}
}
