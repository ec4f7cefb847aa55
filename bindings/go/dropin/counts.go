package dropin

import (
	"context"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// CalculateMaxWait is how many may be in use or wait for a key of this limit: the limit, at least 1, and 20 more.
func CalculateMaxWait(limit int) int { return max(limit, 1) + 20 }

// TrackAPIKey counts a request of an API key, and limits nothing. It never fails: where it cannot count, it lets through.
func (s *Slots) TrackAPIKey(id string) (release func()) {
	release, _, err := s.TryAcquire(reqbus.APIKey(id), 0)
	if err != nil {
		return func() {}
	}
	return release
}

// AcquireAPIKeySlot takes a slot of an API key, and does not wait. A max of 0 or less limits nothing ([Slots.TrackAPIKey]).
func (s *Slots) AcquireAPIKeySlot(id string, max int64) (release func(), acquired bool, err error) {
	if max <= 0 {
		return s.TrackAPIKey(id), true, nil
	}
	return s.TryAcquire(reqbus.APIKey(id), max)
}

// LoadInfo is how an account stands.
type LoadInfo struct {
	InUse, Waiting int
	// Rate is (in use + waiting) * 100 / limit; it may pass 100.
	Rate int
}

// GetAccountsLoadBatch tells how accounts stand that have these limits, by id. It is always fresh: asking costs less than
// what a cache saved, and an old answer sends two requests to the same account.
func (s *Slots) GetAccountsLoadBatch(ctx context.Context, limits map[int64]int64) (map[int64]LoadInfo, error) {
	var ids []int64
	for id := range limits {
		ids = append(ids, id)
	}
	loads, err := loadsOf(ctx, s, reqbus.Account, ids)
	if err != nil {
		return nil, err
	}
	all := make(map[int64]LoadInfo, len(limits))
	for id, load := range loads {
		info := LoadInfo{InUse: load.InUse, Waiting: load.Waiting}
		if limit := limits[id]; limit > 0 {
			info.Rate = int(int64(info.InUse+info.Waiting) * 100 / limit)
		}
		all[id] = info
	}
	return all, nil
}

// GetAccountConcurrencyBatch tells how many requests of each account are in flight; zeros if there is no pool.
func (s *Slots) GetAccountConcurrencyBatch(ctx context.Context, ids []int64) (map[int64]int, error) {
	return countsOf(ctx, s, reqbus.Account, ids)
}

// GetAPIKeyConcurrencyBatch tells how many requests of each API key are in flight. It never fails: zeros instead.
func (s *Slots) GetAPIKeyConcurrencyBatch(ctx context.Context, ids []string) map[string]int {
	all, err := countsOf(ctx, s, reqbus.APIKey, ids)
	if err != nil {
		all, _ = countsOf(ctx, nil, reqbus.APIKey, ids)
	}
	return all
}

// GetAccountWaitingCount tells how many wait for an account; 0 if there is no pool.
func (s *Slots) GetAccountWaitingCount(ctx context.Context, id int64) (int, error) {
	loads, err := loadsOf(ctx, s, reqbus.Account, []int64{id})
	return loads[id].Waiting, err
}

func countsOf[ID comparable](ctx context.Context, s *Slots, key func(ID) reqbus.Key, ids []ID) (map[ID]int, error) {
	loads, err := loadsOf(ctx, s, key, ids)
	if err != nil {
		return nil, err
	}
	all := make(map[ID]int, len(ids))
	for _, id := range ids {
		all[id] = loads[id].InUse
	}
	return all, nil
}

// loadsOf tells how keys stand, by id; nothing without a pool.
func loadsOf[ID comparable](ctx context.Context, s *Slots, key func(ID) reqbus.Key, ids []ID) (map[ID]reqbus.Load, error) {
	if s == nil || s.Pool == nil || len(ids) == 0 {
		return nil, nil
	}
	keys := make([]reqbus.Key, len(ids))
	for at, id := range ids {
		keys[at] = key(id)
	}
	loads, err := s.Pool.Load(ctx, keys...)
	if err != nil {
		return nil, err
	}
	all := make(map[ID]reqbus.Load, len(ids))
	for at, id := range ids {
		all[id] = loads[at]
	}
	return all, nil
}
