package dropin

import (
	"context"
	"errors"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// ErrLeaseLost is the cause with which the context of an [IngressLease] ends when its slot is lost.
var ErrLeaseLost = errors.New("lease lost")

// IngressLease is the slot of a connection that lives long, such as a client's WebSocket. A nil lease is one of a limit that
// is off.
type IngressLease struct {
	slot   *reqbus.Slot
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// AcquireIngressLease takes a slot of an API key for a connection, and does not wait; false if there is none. A max of 0 or
// less is no limit and no lease. The lease's context is a child of ctx. The end of ctx does not release it.
func (s *Slots) AcquireIngressLease(ctx context.Context, apiKey string, max int64) (lease *IngressLease, acquired bool, err error) {
	if max <= 0 {
		return nil, true, nil
	}
	var pool *reqbus.Pool
	if s != nil {
		pool = s.Pool
	}
	slot, err := pool.TryAcquire([]reqbus.Ask{{Key: reqbus.APIKey(apiKey), Limit: reqbus.Limit(max)}}, "")
	switch {
	case errors.Is(err, reqbus.ErrNoRoom):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	lease = &IngressLease{slot: slot}
	lease.ctx, lease.cancel = context.WithCancelCause(ctx)
	go lease.watch(slot.Lost())
	return lease, true, nil
}

func (l *IngressLease) watch(lost <-chan struct{}) {
	select {
	case <-lost:
		l.cancel(ErrLeaseLost)
	case <-l.ctx.Done():
	}
}

// Context ends with the one that the lease was taken with, with the release, and when the slot is lost: [ErrLeaseLost] is
// its cause then.
func (l *IngressLease) Context() context.Context {
	if l == nil || l.ctx == nil {
		return context.Background()
	}
	return l.ctx
}

// Release gives the slot back, once.
func (l *IngressLease) Release() {
	if l != nil && l.slot != nil {
		l.slot.Release()
		l.cancel(nil)
	}
}
