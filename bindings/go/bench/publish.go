package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

const burst = 32

// publishRow measures the publisher's time in bursts of 32, each of which all readers drain before the next.
func publishRow(r *report, readers int, target float64) {
	of := row{fmt.Sprintf("go/publish/%d", readers), "RWMutex, map, channels", "ns/publish", target}
	bursts := 200
	ours := func() float64 {
		bus := must(reqbus.NewBus(reqbus.BusOptions{}))
		defer bus.Close()
		var drained sync.WaitGroup
		var all sync.WaitGroup
		for range readers {
			// As dashboards and loggers read. (Readers with a queue each cost the publisher some 10 ns more apiece.)
			sub := must(bus.Subscribe(context.Background(), reqbus.SubscribeOptions{Overflow: reqbus.CatchUp}))
			all.Add(1)
			go func() {
				defer all.Done()
				defer sub.Close()
				seen := 0
				for item := range sub.Items(context.Background()) {
					if _, ok := item.(*reqbus.Event); !ok {
						panic("lost")
					}
					if seen++; seen%burst == 0 {
						drained.Done()
					}
				}
			}()
		}
		event := reqbus.RequestEvent{
			Timestamp: time.Now(), Method: "POST", Path: "/v1/messages", Model: "m-large", AccountID: 42, Latency: 812 * time.Millisecond,
		}
		spent := inBursts(bursts, readers, &drained, func() { bus.Publish(event) })
		bus.Close()
		all.Wait()
		return spent
	}
	peer := func() float64 {
		bus := newChannelBus()
		var drained, all sync.WaitGroup
		var ids []uint64
		for range readers {
			id, events := bus.subscribe()
			ids = append(ids, id)
			all.Add(1)
			go func() {
				defer all.Done()
				seen := 0
				for range events {
					if seen++; seen%burst == 0 {
						drained.Done()
					}
				}
			}()
		}
		event := requestEvent{
			Timestamp: time.Now(), Method: "POST", Path: "/v1/messages", Model: "m-large", AccountID: 42, Status: "success", LatencyMS: 812,
		}
		spent := inBursts(bursts, readers, &drained, func() { bus.publish(event) })
		for _, id := range ids {
			bus.unsubscribe(id)
		}
		all.Wait()
		return spent
	}
	r.measure(of, 25, ours, peer)
}

// inBursts is the mean time of publish, in ns.
func inBursts(bursts, readers int, drained *sync.WaitGroup, publish func()) float64 {
	var spent time.Duration
	for range bursts {
		drained.Add(readers)
		begun := time.Now()
		for range burst {
			publish()
		}
		spent += time.Since(begun)
		drained.Wait()
		time.Sleep(time.Millisecond) // all readers fall asleep
	}
	return float64(spent.Nanoseconds()) / float64(bursts*burst)
}
