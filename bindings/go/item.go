//go:build cgo

package reqbus

import "time"

// Item is what a subscription reads: an [*Event], a [Lost], a [Resync] or a [Status]. A later version may add some: skip
// what you do not know.
type Item interface{ isItem() }

// Event is something that happened.
type Event struct {
	// ID names it, and is what a reader resumes by.
	ID ID
	// N is the subscription's own number of it, from 1: a hole in it is loss.
	N uint64
	// Time is when it happened.
	Time time.Time
	// Kind names what happened: "request" of a finished request.
	Kind string
	// Key is what filters by key look at.
	Key string
	// Sort says what the payload is.
	Sort PayloadSort
	// Payload is as it was published; nil of a request.
	Payload []byte
	// Request is the finished request, if it is one.
	Request *RequestEvent
}

// Lost says that events were lost here, between the items before and behind. It is not an error, and not the end.
type Lost struct {
	// Missed is how many.
	Missed uint64
	// Reason is why.
	Reason LostReason
	// NextN is the number that the next matching event has.
	NextN uint64
}

// LostReason says why events were lost.
type LostReason string

// Why events were lost.
const (
	// LostFull: the queue of a drop-newest reader was full.
	LostFull LostReason = "full"
	// LostWindow: a drop-oldest reader lagged by more than its window.
	LostWindow LostReason = "window"
	// LostEvicted: the log let go of events before the reader came to them.
	LostEvicted LostReason = "evicted"
)

// Resync says that the resume was not possible; the reader goes on live after Head.
type Resync struct {
	// Reason is why.
	Reason ResyncReason
	// Head is the newest event at that moment.
	Head ID
}

// ResyncReason says why a resume was not possible.
type ResyncReason string

// Why a resume was not possible.
const (
	// ResyncMalformed: the text is no event id.
	ResyncMalformed ResyncReason = "malformed"
	// ResyncEpoch: the id is another bus's, or of an earlier life of this one.
	ResyncEpoch ResyncReason = "epoch"
	// ResyncAhead: the id is newer than the newest event.
	ResyncAhead ResyncReason = "ahead"
	// ResyncExpired: an event after it has left the log or is too old.
	ResyncExpired ResyncReason = "expired"
)

// Status is the latest state of a status source.
type Status struct{ Source, State, Detail string }

func (*Event) isItem() {}
func (Lost) isItem()   {}
func (Resync) isItem() {}
func (Status) isItem() {}

// Batch is what one read gave. It is the caller's own, and stays valid.
type Batch struct {
	// Items are in the order of the bus, losses in the place of what was lost.
	Items []Item
	// Settled is up to where the subscription knows everything once this batch is dealt with: where a resume loses
	// nothing.
	Settled ID
}
