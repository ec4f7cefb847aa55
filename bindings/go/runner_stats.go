//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_flight
#cgo nocallback rb_flight
#cgo noescape reqbus_flights_free
#cgo nocallback reqbus_flights_free
#cgo noescape reqbus_flights_len
#cgo nocallback reqbus_flights_len
*/
import "C"

import "time"

// RunnerStats is what a runner has counted. Never reset. At any moment Run is the sum of Succeeded, Failed, Panicked and
// those in flight, and each due item of a round that was not passed over is counted once, in Run, SkippedBusy or
// SkippedFull.
type RunnerStats struct {
	// Rounds, FailedRounds those of them in which the host could not say what is due, and PausedRounds those that were
	// passed over because of a pause.
	Rounds, FailedRounds, PausedRounds uint64
	// Run counts checks that were begun.
	Run uint64
	// How they ended. Panicked counts permits that were given back without a verdict, too.
	Succeeded, Failed, Panicked uint64
	// Stuck counts those that were over their time, and by their end once more.
	Stuck uint64
	// SkippedBusy counts due items that were being checked, SkippedFull those that found no room.
	SkippedBusy, SkippedFull uint64
	// Late counts checks that were begun more than a round after they were due.
	Late uint64
}

func runnerStats(n *C.reqbus_runner_stats) RunnerStats {
	return RunnerStats{
		Rounds: uint64(n.rounds), FailedRounds: uint64(n.failed_rounds), PausedRounds: uint64(n.paused_rounds),
		Run: uint64(n.run), Succeeded: uint64(n.succeeded), Failed: uint64(n.failed), Panicked: uint64(n.panicked),
		Stuck: uint64(n.stuck), SkippedBusy: uint64(n.skipped_busy), SkippedFull: uint64(n.skipped_full), Late: uint64(n.late),
	}
}

// Flight is a check that is under way.
type Flight struct {
	// ID is what is being checked.
	ID string
	// Age is for how long.
	Age time.Duration
	// IsStuck: it is over its time.
	IsStuck bool
}

// takeFlights copies a list and frees it.
func takeFlights(list *C.reqbus_flights) []Flight {
	defer C.reqbus_flights_free(&list)
	all := make([]Flight, int(C.reqbus_flights_len(list)))
	for at := range all {
		var f C.reqbus_flight
		C.rb_flight(list, C.size_t(at), &f)
		all[at] = Flight{ID: goText(f.id, f.id_len), Age: nanos(f.age_ns), IsStuck: f.stuck == 1}
	}
	return all
}
