package dropin

import (
	"context"
	"errors"
	"testing"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// The tests of the lease of a connection that lives long.

func TestIngressLease_ZeroValueReleaseSafe(t *testing.T) {
	for _, lease := range []*IngressLease{nil, {}} {
		lease.Release()
		lease.Release()
		if lease.Context().Err() != nil {
			t.Fatal("it has ended")
		}
	}
}

func TestIngressLease_Disabled(t *testing.T) {
	for _, max := range []int64{0, -1} {
		if lease, acquired, err := (*Slots)(nil).AcquireIngressLease(soon(t), "k1", max); lease != nil || !acquired || err != nil {
			t.Fatal(lease, acquired, err)
		}
	}
}

func TestIngressLease_UnsupportedFailsClosed(t *testing.T) {
	for _, s := range []*Slots{nil, {}} {
		if lease, acquired, err := s.AcquireIngressLease(soon(t), "k1", 1); lease != nil || acquired || !errors.Is(err, reqbus.ErrInvalid) {
			t.Fatal(lease, acquired, err)
		}
	}
	if _, acquired, err := newSlots(t).AcquireIngressLease(soon(t), "", 1); acquired || !errors.Is(err, reqbus.ErrInvalid) {
		t.Fatal("a bad id: ", acquired, err)
	}
}

func TestIngressLease_CapacityRefusedAndOneReleaseOnDoubleRelease(t *testing.T) {
	s := newSlots(t)
	lease, acquired, err := s.AcquireIngressLease(soon(t), "k1", 1)
	if err != nil || !acquired {
		t.Fatal(acquired, err)
	}
	if other, acquired, err := s.AcquireIngressLease(soon(t), "k1", 1); other != nil || acquired || err != nil {
		t.Fatal("capacity: ", acquired, err)
	}
	lease.Release()
	again, acquired, err := s.AcquireIngressLease(soon(t), "k1", 1)
	if err != nil || !acquired {
		t.Fatal(acquired, err)
	}
	lease.Release() // not the new one's
	if inUse(t, s, reqbus.APIKey("k1")).InUse != 1 || lease.Context().Err() == nil || again.Context().Err() != nil {
		t.Fatal("released twice")
	}
	again.Release()
}

func TestIngressLease_RefreshLoss(t *testing.T) {
	s := newSlots(t)
	lease, _, err := s.AcquireIngressLease(context.Background(), "k1", 1)
	if err != nil {
		t.Fatal(err)
	}
	holders, err := s.Pool.Holders(soon(t), reqbus.APIKey("k1"))
	if err != nil || len(holders) != 1 {
		t.Fatal(holders, err)
	}
	if _, err := s.Pool.Force(soon(t), reqbus.APIKey("k1"), holders[0].Number); err != nil {
		t.Fatal(err)
	}
	receiveEnd(t, lease.Context())
	if cause := context.Cause(lease.Context()); cause != ErrLeaseLost {
		t.Fatal(cause)
	}
	lease.Release()
}

func TestIngressLease_ContextEndsWithTheClients(t *testing.T) {
	s := newSlots(t)
	ctx, cancel := context.WithCancel(context.Background())
	lease, _, err := s.AcquireIngressLease(ctx, "k1", 1)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	receiveEnd(t, lease.Context())
	if inUse(t, s, reqbus.APIKey("k1")).InUse != 1 {
		t.Fatal("released by the client's end, not by its holder")
	}
	lease.Release()
}

func receiveEnd(t *testing.T, ctx context.Context) {
	t.Helper()
	select {
	case <-ctx.Done():
	case <-soon(t).Done():
		t.Fatal("the context never ends")
	}
}
