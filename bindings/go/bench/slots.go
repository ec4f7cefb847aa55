package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
	"golang.org/x/sync/semaphore"
)

func acquireReleaseRow(r *report) {
	const rounds = 10_000 // a few milliseconds, so that most are not interrupted
	ctx := context.Background()
	pool := must(reqbus.NewPool(reqbus.PoolOptions{}))
	defer pool.Close()
	key := reqbus.User(42)
	ours := func() float64 {
		begun := time.Now()
		for range rounds {
			slot, err := pool.Acquire(ctx, key, 5)
			if err != nil {
				panic(err)
			}
			slot.Release()
		}
		return float64(time.Since(begun).Nanoseconds()) / rounds
	}
	var users sync.Map
	users.Store(int64(42), semaphore.NewWeighted(5))
	peer := func() float64 {
		begun := time.Now()
		for range rounds {
			found, _ := users.Load(int64(42))
			slots := found.(*semaphore.Weighted)
			if err := slots.Acquire(ctx, 1); err != nil {
				panic(err)
			}
			slots.Release(1)
		}
		return float64(time.Since(begun).Nanoseconds()) / rounds
	}
	r.measure(row{"go/acquire-release", "x/sync Weighted in a sync.Map", "ns", 4}, 250, ours, peer)
}

// handOver is the median time from a release in one goroutine to the grant in another, in µs. acquire gives the release.
func handOver(acquire func() func()) float64 {
	const rounds = 2_000
	var released atomic.Int64
	var waits []float64
	ready, next := make(chan struct{}), make(chan struct{})
	base := time.Now()
	go func() {
		for range rounds {
			<-next
			ready <- struct{}{}
			release := acquire()
			waits = append(waits, float64(int64(time.Since(base))-released.Load())/1000)
			release()
			ready <- struct{}{}
		}
	}()
	for range rounds {
		release := acquire()
		next <- struct{}{}
		<-ready
		time.Sleep(20 * time.Microsecond) // now it waits
		released.Store(int64(time.Since(base)))
		release()
		<-ready
	}
	slices.Sort(waits)
	return waits[len(waits)/2]
}

func handOverRow(r *report) {
	ctx := context.Background()
	pool := must(reqbus.NewPool(reqbus.PoolOptions{}))
	defer pool.Close()
	key := reqbus.User(42)
	ours := func() float64 {
		return handOver(func() func() {
			slot, err := pool.Acquire(ctx, key, 1)
			if err != nil {
				panic(err)
			}
			return func() { slot.Release() }
		})
	}
	slots := semaphore.NewWeighted(1)
	peer := func() float64 {
		return handOver(func() func() {
			if err := slots.Acquire(ctx, 1); err != nil {
				panic(err)
			}
			return func() { slots.Release(1) }
		})
	}
	r.measure(row{"go/hand-over", "x/sync Weighted", "us p50", 4}, 15, ours, peer)
}

// idle is the mean time that a freed slot stays so while 50 wait for 5, in µs. Holds are exponential, with a mean of 1 s.
func idle(during time.Duration, acquire func(context.Context) (func(), error)) float64 {
	ctx, stop := context.WithTimeout(context.Background(), during)
	defer stop()
	var mu sync.Mutex
	var freed []time.Time // oldest first
	var total time.Duration
	var count int
	var all sync.WaitGroup
	var wait func()
	wait = func() {
		defer all.Done()
		release, err := acquire(ctx)
		if err != nil {
			return
		}
		mu.Lock()
		if len(freed) > 0 {
			total += time.Since(freed[0])
			count++
			freed = freed[1:]
		}
		mu.Unlock()
		all.Add(1)
		go wait() // in its place, so that there are always as many who wait
		time.Sleep(time.Duration(rand.ExpFloat64() * float64(time.Second)))
		mu.Lock()
		freed = append(freed, time.Now())
		mu.Unlock()
		release()
	}
	for range 50 {
		all.Add(1)
		go wait()
	}
	all.Wait()
	return float64(total.Microseconds()) / float64(max(count, 1))
}

func waitAfterReleaseRow(r *report) {
	of := row{"go/wait-after-release", "backoff loop", "us", 0.02}
	if !r.wants(of.name) {
		return
	}
	during := time.Minute
	if r.quick {
		during = 8 * time.Second
	}
	pool := must(reqbus.NewPool(reqbus.PoolOptions{}))
	defer pool.Close()
	var ours, peer float64
	var both sync.WaitGroup
	both.Add(2)
	// At once: both mostly sleep, and meet the same minute.
	go func() {
		defer both.Done()
		how := reqbus.WaitOptions{MaxWaiting: 100, Timeout: time.Hour, PingEvery: -1}
		ours = idle(during, func(ctx context.Context) (func(), error) {
			slot, err := pool.Acquire(ctx, reqbus.User(42), 5, how)
			return func() { slot.Release() }, err
		})
	}()
	go func() {
		defer both.Done()
		slots := &pollingSlots{limit: 5}
		peer = idle(during, func(ctx context.Context) (func(), error) { return slots.release, slots.acquire(ctx) })
	}()
	both.Wait()
	r.add(of, outcome{ours, peer, [2]float64{ours / peer, ours / peer}})
}
