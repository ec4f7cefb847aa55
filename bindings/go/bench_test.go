//go:build cgo

package reqbus

import (
	"context"
	"testing"
)

func BenchmarkPublish(b *testing.B) {
	bus := newBus(b)
	event := RequestEvent{Method: "POST", Path: "/v1/messages", Model: "m-large", AccountID: 42, Latency: 812e6}
	b.ReportAllocs()
	for b.Loop() {
		bus.Publish(event)
	}
}

func BenchmarkAcquireRelease(b *testing.B) {
	pool, ctx, key := newPool(b), context.Background(), User(42)
	b.ReportAllocs()
	for b.Loop() {
		slot, err := pool.Acquire(ctx, key, 5)
		if err != nil {
			b.Fatal(err)
		}
		slot.Release()
	}
}

func BenchmarkHandOver(b *testing.B) {
	pool, ctx, key := newPool(b), context.Background(), User(42)
	work := func() {
		for range b.N {
			slot, err := pool.Acquire(ctx, key, 1)
			if err != nil {
				b.Error(err)
				return
			}
			slot.Release()
		}
	}
	done := make(chan struct{})
	slot, _ := pool.Acquire(ctx, key, 1)
	go func() { work(); close(done) }()
	slot.Release()
	work()
	<-done
}

func BenchmarkReadBatch(b *testing.B) {
	bus := newBus(b)
	sub := subscribe(b, bus, SubscribeOptions{Overflow: CatchUp})
	event := RequestEvent{Method: "POST", Path: "/v1/messages", Model: "m-large", AccountID: 42, Latency: 812e6}
	b.ReportAllocs()
	for b.Loop() {
		for range 64 {
			bus.Publish(event)
		}
		if batch, err := sub.TryBatch(ReadLimits{}); err != nil || len(batch.Items) != 64 {
			b.Fatal(err)
		}
	}
}
