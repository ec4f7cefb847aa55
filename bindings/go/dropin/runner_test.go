package dropin

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// The tests of the runner.

// started is a runner whose rounds come only when something is scheduled.
func started(t *testing.T, load func(context.Context) ([]Task, error)) *Runner {
	t.Helper()
	r, err := NewRunner(load, reqbus.RunnerOptions{Every: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Runner().Close() })
	if err := r.Start(soon(t)); err != nil {
		t.Fatal(err)
	}
	return r
}

// counted is a task that counts its checks.
func counted(id int64, count *atomic.Int64) Task {
	return Task{ID: id, Interval: time.Hour, Check: func(context.Context) error { count.Add(1); return nil }}
}

func TestRunner_Schedule_AddsTaskAndFiresOnce(t *testing.T) {
	r := started(t, nil)
	var count atomic.Int64
	if !r.Schedule(counted(1, &count)) || r.Len() != 1 {
		t.Fatal("not on the list")
	}
	until(t, "it is checked", func() bool { return r.Runner().Stats().Succeeded == 1 })
	rounds := r.Runner().Stats().Rounds
	r.Runner().RoundNow()
	until(t, "another round", func() bool { return r.Runner().Stats().Rounds > rounds })
	if stats := r.Runner().Stats(); stats.Run != 1 || count.Load() != 1 {
		t.Fatalf("once: %+v", stats)
	}
}

func TestRunner_Schedule_ReplaceCancelsOldTask(t *testing.T) {
	r := started(t, nil)
	began, cut := make(chan struct{}), make(chan error, 1)
	r.Schedule(Task{ID: 1, Interval: time.Hour, Check: func(ctx context.Context) error {
		close(began)
		<-ctx.Done()
		cut <- ctx.Err()
		return nil
	}})
	<-began
	var count atomic.Int64
	if !r.Schedule(counted(1, &count)) || r.Len() != 1 {
		t.Fatal("one task is left")
	}
	if err := receive(t, cut); err != context.Canceled {
		t.Fatal(err)
	}
	until(t, "the new one is checked", func() bool { r.Runner().RoundNow(); return count.Load() == 1 })
}

func TestRunner_Unschedule_RemovesTask(t *testing.T) {
	r := started(t, nil)
	began := make(chan struct{})
	r.Schedule(Task{ID: 1, Interval: time.Nanosecond, Check: func(ctx context.Context) error {
		close(began) // twice would panic
		<-ctx.Done()
		return nil
	}})
	<-began
	r.Unschedule(1)
	r.Unschedule(1)
	r.Unschedule(2)
	if r.Len() != 0 {
		t.Fatal("still there")
	}
	until(t, "its check ended", func() bool { return r.Runner().Stats().Succeeded == 1 })
	rounds := r.Runner().Stats().Rounds
	r.Runner().RoundNow()
	until(t, "another round", func() bool { return r.Runner().Stats().Rounds > rounds })
	if stats := r.Runner().Stats(); stats.Run != 1 {
		t.Fatalf("%+v", stats)
	}
}

func TestRunner_Schedule_DisabledRedirectsToUnschedule(t *testing.T) {
	r := started(t, nil)
	var count atomic.Int64
	task := counted(1, &count)
	r.Schedule(task)
	task.IsDisabled = true
	if r.Schedule(task) || r.Len() != 0 {
		t.Fatal("still there")
	}
}

func TestRunner_Schedule_DecryptFailedRedirects(t *testing.T) {
	r := started(t, nil)
	var count atomic.Int64
	r.Schedule(counted(1, &count))
	if r.Schedule(Task{ID: 1, Interval: time.Hour}) || r.Len() != 0 {
		t.Fatal("there is no way to check it")
	}
}

func TestRunner_RepairedAPIKeyCanBeScheduled(t *testing.T) {
	r := started(t, nil)
	var count atomic.Int64
	r.Schedule(Task{ID: 1, Interval: time.Hour})
	if !r.Schedule(counted(1, &count)) || r.Len() != 1 {
		t.Fatal("not back")
	}
	until(t, "it is checked", func() bool { return count.Load() == 1 })
}

func TestRunner_RunOne_DecryptFailureUnschedules(t *testing.T) {
	r := started(t, nil)
	r.Schedule(Task{ID: 1, Interval: time.Hour, Check: func(context.Context) error {
		return errors.Join(ErrUnschedule, errors.New("the key cannot be decrypted"))
	}})
	until(t, "it is gone", func() bool { return r.Len() == 0 })
}

func TestRunner_InvalidIntervalSkipped(t *testing.T) {
	r := started(t, nil)
	var count atomic.Int64
	for _, interval := range []time.Duration{0, -1} {
		task := counted(1, &count)
		task.Interval = interval
		if r.Schedule(task) || r.Len() != 0 {
			t.Fatal(interval)
		}
	}
}

func TestRunner_BeforeStartIsNoOp(t *testing.T) {
	r, err := NewRunner(nil, reqbus.RunnerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var count atomic.Int64
	r.Unschedule(1)
	if r.Schedule(counted(1, &count)) || r.Len() != 0 {
		t.Fatal("before the start")
	}
	if left, err := r.Stop(soon(t)); err != nil || left != nil {
		t.Fatal(left, err)
	}
	if err := r.Start(soon(t)); err != nil || r.Schedule(counted(1, &count)) {
		t.Fatal("after a stop: ", err)
	}
}

func TestRunner_Start_LoadsAllEnabled(t *testing.T) {
	var count atomic.Int64
	r := started(t, func(context.Context) ([]Task, error) {
		disabled := counted(4, &count)
		disabled.IsDisabled = true
		return []Task{counted(1, &count), counted(2, &count), counted(3, &count), disabled}, nil
	})
	if r.Len() != 3 {
		t.Fatal(r.Len())
	}
	until(t, "all are checked", func() bool { return count.Load() == 3 })
	if err := r.Start(soon(t)); err != nil || r.Len() != 3 {
		t.Fatal("started twice:", err)
	}
}

func TestRunner_Start_SkipsDecryptFailed(t *testing.T) {
	var count atomic.Int64
	r := started(t, func(context.Context) ([]Task, error) {
		return []Task{{ID: 1, Interval: time.Hour}, counted(2, &count)}, nil
	})
	if r.Len() != 1 {
		t.Fatal(r.Len())
	}
}

func TestRunner_Start_SaysThatTheListCannotBeLoaded(t *testing.T) {
	failing := errors.New("no database")
	r, err := NewRunner(func(context.Context) ([]Task, error) { return nil, failing }, reqbus.RunnerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(soon(t)); err != failing {
		t.Fatal(err)
	}
}

func TestRunner_Start_LoadsUnderNoLock(t *testing.T) {
	var r *Runner
	loads := 0
	load := func(ctx context.Context) ([]Task, error) {
		loads++
		if err := r.Start(ctx); err != nil || r.Schedule(Task{ID: 1}) || r.Len() != 0 {
			t.Error("it has begun before it has loaded")
		}
		_, err := r.Stop(ctx)
		return []Task{{ID: 2, Interval: time.Hour, Check: func(context.Context) error { return nil }}}, err
	}
	r, err := NewRunner(load, reqbus.RunnerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(soon(t)); err != nil || loads != 1 || r.Len() != 0 {
		t.Fatalf("stopped while it loads: %v, %d loads, %d tasks", err, loads, r.Len())
	}
}

func TestRunner_Stop_DrainsAllGoroutines(t *testing.T) {
	var count atomic.Int64
	r := started(t, func(context.Context) (tasks []Task, err error) {
		for id := range int64(5) {
			tasks = append(tasks, counted(id, &count))
		}
		return tasks, nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if left, err := r.Stop(ctx); err != nil || left != nil {
		t.Fatal(left, err)
	}
	if stats := r.Runner().Stats(); stats.Run != stats.Succeeded || len(r.Runner().InFlight()) != 0 {
		t.Fatalf("%+v", stats)
	}
}

func TestRunner_Stop_WaitsForInFlightCheck(t *testing.T) {
	r := started(t, nil)
	began := make(chan struct{})
	var ended atomic.Bool
	r.Schedule(Task{ID: 1, Interval: time.Hour, Check: func(ctx context.Context) error {
		close(began)
		select {
		case <-time.After(200 * time.Millisecond): // the work
			ended.Store(true)
		case <-ctx.Done():
		}
		return nil
	}})
	<-began
	if _, err := r.Stop(soon(t)); err != nil || !ended.Load() {
		t.Fatal("it did not wait: ", err)
	}
}

func TestRunner_Nil(t *testing.T) {
	var r *Runner
	r.Unschedule(1)
	if _, err := r.Stop(soon(t)); err != nil || r.Start(soon(t)) != nil || r.Schedule(Task{}) || r.Len() != 0 || r.Runner() != nil {
		t.Fatal("a nil runner does something")
	}
}
