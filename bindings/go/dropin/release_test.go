package dropin

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// The tests of the release functions.

func TestWrapRelease_NilReleaseFunc(t *testing.T) {
	if WrapReleaseOnDone(context.Background(), nil) != nil {
		t.Fatal("nil in, nil out")
	}
}

func TestWrapRelease_ContextCancellation(t *testing.T) {
	var count atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	WrapReleaseOnDone(ctx, func() { count.Add(1) })
	cancel()
	until(t, "released", func() bool { return count.Load() == 1 })
}

func TestWrapRelease_MultipleCallsOnlyReleaseOnce(t *testing.T) {
	var count atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	release := WrapReleaseOnDone(ctx, func() { count.Add(1) })
	for range 3 {
		release()
	}
	cancel() // the hook is gone
	if got := count.Load(); got != 1 {
		t.Fatal(got)
	}
}

func TestWrapRelease_ConcurrentCalls(t *testing.T) {
	var count atomic.Int64
	release := WrapReleaseOnDone(context.Background(), func() { count.Add(1) })
	var all sync.WaitGroup
	for range 10 {
		all.Add(1)
		go func() { defer all.Done(); release() }()
	}
	all.Wait()
	if got := count.Load(); got != 1 {
		t.Fatal(got)
	}
}

func TestWrapRelease_NoGoroutineLeak(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(context.Background())
	for range 1000 {
		release := WrapReleaseOnDone(ctx, func() {})
		defer release()
	}
	if now := runtime.NumGoroutine(); now > before+2 {
		t.Fatal("a goroutine per request: ", now-before)
	}
	cancel()
	until(t, "all have ended", func() bool { return runtime.NumGoroutine() <= before+2 })
}

func TestWrapRelease_ConcurrentCancelAndManualReleaseRunsExactlyOnce(t *testing.T) {
	for range 100 {
		var count atomic.Int64
		ctx, cancel := context.WithCancel(context.Background())
		release := WrapReleaseOnDone(ctx, func() { count.Add(1) })
		var all sync.WaitGroup
		for range 16 {
			all.Add(1)
			go func() { defer all.Done(); release() }()
		}
		cancel()
		all.Wait()
		if got := count.Load(); got != 1 {
			t.Fatal(got)
		}
	}
}

func TestWrapRelease_AlreadyCanceledContextReleasesOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 1000 {
		var count atomic.Int64
		release := WrapReleaseOnDone(ctx, func() { count.Add(1) })
		release()
		if got := count.Load(); got != 1 {
			t.Fatal(got)
		}
	}
}

func TestHTTPAttemptReleaseSet(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var count atomic.Int64
	add := func() { count.Add(1) }
	reclaimed, handedOn := NewReleaseSet(ctx), NewReleaseSet(ctx)
	reclaimed.Add(add)
	reclaimed.Add(nil)
	handedOn.Add(add)
	complete, ok := handedOn.Transfer()
	if _, again := handedOn.Transfer(); !ok || again {
		t.Fatal("moved once")
	}
	cancel()
	until(t, "the one that was not handed on is reclaimed", func() bool { return count.Load() == 1 })
	handedOn.Add(add) // after the transfer: at once
	reclaimed.Add(add)
	if got := count.Load(); got != 3 {
		t.Fatal(got)
	}
	complete()
	complete()
	reclaimed.Release()
	if got := count.Load(); got != 4 {
		t.Fatal(got)
	}
	if _, ok := reclaimed.Transfer(); ok || reclaimed.Detach() {
		t.Fatal("it is released")
	}
}

// The modes of a lease: release on cancel is a set, release on completion one that was detached.
func TestLease_ReleaseOnCancelAndOnCompletion(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var cancelled, completed, late atomic.Int64
	onCancel, onCompletion := NewReleaseSet(ctx), NewReleaseSet(ctx)
	if !onCancel.Add(func() { cancelled.Add(1) }) || !onCompletion.Add(func() { completed.Add(1) }) || !onCompletion.Detach() {
		t.Fatal("not taken")
	}
	cancel()
	until(t, "released by the cancel", func() bool { return cancelled.Load() == 1 })
	if completed.Load() != 0 {
		t.Fatal("released before its completion")
	}
	onCompletion.Release()
	if onCompletion.Add(func() { late.Add(1) }) || onCancel.Add(func() { late.Add(1) }) || late.Load() != 2 || completed.Load() != 1 {
		t.Fatal("what is attached late is refused and released")
	}
}

func TestReleaseSet_Detach(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	set := NewReleaseSet(ctx)
	var count atomic.Int64
	set.Add(func() { count.Add(1) })
	if !set.Detach() {
		t.Fatal("tied")
	}
	other := NewReleaseSet(ctx)
	var reclaimed atomic.Int64
	other.Add(func() { reclaimed.Add(1) })
	cancel()
	until(t, "one that is tied is released", func() bool { return reclaimed.Load() == 1 })
	if count.Load() != 0 {
		t.Fatal("released by the context")
	}
	set.Release()
	if count.Load() != 1 {
		t.Fatal("not released")
	}
}
