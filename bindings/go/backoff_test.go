//go:build cgo

package reqbus

import (
	"testing"
	"time"
)

// The tests of the backoff. Exact delays are in the shared cases.

func newBackoff(t testing.TB, seed uint64) *Backoff {
	t.Helper()
	backoff, err := NewBackoff(BackoffOptions{Seed: &seed})
	if err != nil {
		t.Fatal(err)
	}
	return backoff
}

func TestNextBackoff_ExponentialGrowth(t *testing.T) {
	backoff := newBackoff(t, 1)
	for range 10 {
		if delay := backoff.Next(); delay < 100*time.Millisecond || delay > 2*time.Second {
			t.Fatal(delay)
		}
	}
	if backoff.Attempt() != 10 {
		t.Fatal(backoff.Attempt())
	}
}

func TestNextBackoff_BoundedByMaxBackoff(t *testing.T) {
	backoff := newBackoff(t, 2)
	for range 100 {
		if delay := backoff.Next(); delay > 2*time.Second {
			t.Fatal(delay)
		}
	}
}

func TestNextBackoff_BoundedByInitialBackoff(t *testing.T) {
	for seed := range uint64(100) {
		if delay := newBackoff(t, seed).Next(); delay < 100*time.Millisecond {
			t.Fatal(delay)
		}
	}
}

func TestNextBackoff_HasJitter(t *testing.T) {
	seen := map[time.Duration]bool{}
	for seed := range uint64(50) {
		backoff := newBackoff(t, seed)
		for range 4 {
			backoff.Next()
		}
		seen[backoff.Next()] = true
	}
	if len(seen) < 2 {
		t.Fatal(seen)
	}
}

func TestNextBackoff_InitialValueGrows(t *testing.T) {
	var sum time.Duration
	for seed := range uint64(100) {
		backoff := newBackoff(t, seed)
		backoff.Next()
		sum += backoff.Next()
	}
	if mean := sum / 100; mean <= 100*time.Millisecond {
		t.Fatal(mean)
	}
}

func TestNextBackoff_ConvergesToMaxBackoff(t *testing.T) {
	backoff := newBackoff(t, 3)
	for range 20 {
		backoff.Next()
	}
	if delay := backoff.Next(); delay < 1600*time.Millisecond {
		t.Fatal(delay)
	}
	backoff.Reset()
	if delay := backoff.Next(); delay >= 1600*time.Millisecond || backoff.Attempt() != 1 {
		t.Fatal(delay)
	}
}

func BenchmarkNextBackoff(b *testing.B) {
	backoff := newBackoff(b, 1)
	for b.Loop() {
		backoff.Next()
	}
}
