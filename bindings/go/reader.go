//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_reader_clear
#cgo nocallback rb_reader_clear
#cgo noescape rb_reader_new
#cgo nocallback rb_reader_new
#cgo noescape reqbus_batch_free
#cgo nocallback reqbus_batch_free
*/
import "C"

import (
	"time"
	"unsafe"
)

// Native batches, reused by all subscriptions: who sleeps holds none. The channel never frees what it holds.
var readers = make(chan *C.rb_reader, 64)

func takeReader() (*C.rb_reader, error) {
	select {
	case reader := <-readers:
		return reader, nil
	default:
	}
	if reader := C.rb_reader_new(); reader != nil {
		return reader, nil
	}
	return nil, &Error{Kind: KindSystem, Context: "batch", Message: "no memory for a batch"}
}

func giveReader(reader *C.rb_reader) {
	C.rb_reader_clear(reader)
	select {
	case readers <- reader:
	default:
		C.reqbus_batch_free(&reader.batch)
		C.free(unsafe.Pointer(reader.items))
		C.free(unsafe.Pointer(reader.requests))
		C.free(unsafe.Pointer(reader))
	}
}

// arena is where the texts of a batch are copied to: one allocation for all.
type arena []byte

func (a *arena) bytes(ptr unsafe.Pointer, n C.size_t) []byte {
	if n == 0 {
		return []byte{}
	}
	begin := len(*a)
	*a = append(*a, unsafe.Slice((*byte)(ptr), int(n))...)
	return (*a)[begin:len(*a):len(*a)]
}

func (a *arena) text(ptr *C.char, n C.size_t) string {
	if n == 0 {
		return ""
	}
	copied := a.bytes(unsafe.Pointer(ptr), n)
	return unsafe.String(unsafe.SliceData(copied), len(copied))
}

// batchOf copies what was read into Go's memory.
func batchOf(r *C.rb_reader) *Batch {
	batch := &Batch{Items: make([]Item, 0, int(r.len)), Settled: idOf(r.settled)}
	texts := make(arena, 0, int(r.texts))
	events := make([]Event, 0, int(r.events))
	requests := make([]RequestEvent, 0, int(r.requests_len))
	natives := unsafe.Slice(r.requests, int(r.requests_len))
	// The kind and the key are mostly those of the event before.
	var kind, key string
	for at := range unsafe.Slice(r.items, int(r.len)) {
		item := (*C.reqbus_item)(unsafe.Add(unsafe.Pointer(r.items), uintptr(at)*C.sizeof_reqbus_item))
		switch item.tag {
		case C.REQBUS_ITEM_EVENT:
			if !isText(kind, item.kind, item.kind_len) {
				kind = texts.text(item.kind, item.kind_len)
			}
			if !isText(key, item.key, item.key_len) {
				key = texts.text(item.key, item.key_len)
			}
			event := Event{
				ID: idOf(item.id), N: uint64(item.n), Time: goTime(item.timestamp_ns), Kind: kind, Key: key,
				Sort: PayloadSort(item.payload_sort),
			}
			if item.payload_sort == C.REQBUS_PAYLOAD_REQUEST {
				requests = append(requests, requestOf(&natives[len(requests)], &texts, event.Time, key))
				event.Request = &requests[len(requests)-1]
			} else {
				event.Payload = texts.bytes(item.payload, item.payload_len)
			}
			events = append(events, event)
			batch.Items = append(batch.Items, &events[len(events)-1])
		case C.REQBUS_ITEM_LOST:
			reason := LostReason(reasonOf(item))
			batch.Items = append(batch.Items, Lost{Missed: uint64(item.missed), Reason: reason, NextN: uint64(item.next_n)})
		case C.REQBUS_ITEM_RESYNC:
			batch.Items = append(batch.Items, Resync{Reason: ResyncReason(reasonOf(item)), Head: idOf(item.id)})
		case C.REQBUS_ITEM_STATUS:
			batch.Items = append(batch.Items, Status{
				Source: texts.text(item.source, item.source_len),
				State:  texts.text(item.state, item.state_len),
				Detail: texts.text(item.detail, item.detail_len),
			})
		}
	}
	return batch
}

func isText(text string, ptr *C.char, n C.size_t) bool {
	return len(text) == int(n) && (n == 0 || text == unsafe.String((*byte)(unsafe.Pointer(ptr)), int(n)))
}

// reasonOf is the name of a reason; those that are known are not copied.
func reasonOf(item *C.reqbus_item) string {
	for _, name := range [...]string{
		string(LostFull), string(LostWindow), string(LostEvicted), string(ResyncMalformed), string(ResyncEpoch),
		string(ResyncAhead), string(ResyncExpired),
	} {
		if isText(name, item.reason_name, item.reason_name_len) {
			return name
		}
	}
	return goText(item.reason_name, item.reason_name_len)
}

func requestOf(r *C.reqbus_request_event, texts *arena, at time.Time, key string) RequestEvent {
	return RequestEvent{
		Timestamp: at,
		Method:    texts.text(r.method, r.method_len),
		Path:      texts.text(r.path, r.path_len),
		Model:     texts.text(r.model, r.model_len),
		AccountID: int64(r.account_id),
		Status:    requestStatus(r.status),
		Latency:   time.Duration(r.latency_ms) * time.Millisecond,
		Key:       key,
		Extra:     texts.text(r.extra, r.extra_len),
	}
}
