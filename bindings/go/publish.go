//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_publish
#cgo nocallback rb_publish
#cgo noescape rb_publish_many
#cgo nocallback rb_publish_many
#cgo noescape rb_publish_request
#cgo nocallback rb_publish_request
#cgo noescape rb_publish_request_id
#cgo nocallback rb_publish_request_id
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Publish publishes a finished request. It waits for no reader and never fails because of one. A nil bus does nothing and
// says nothing; a closed one answers [ErrClosed]; what is refused (text that is not UTF-8, an Extra that is no object)
// says why. A gateway that does not care ignores the answer.
func (b *Bus) Publish(event RequestEvent) error {
	if b == nil {
		return nil
	}
	number, err := event.Status.number()
	if err != nil {
		return err
	}
	ns, flags := nativeTime(event.Timestamp)
	status := C.rb_publish_request(b.core.handle(), cstr(event.Method), clen(event.Method), cstr(event.Path),
		clen(event.Path), cstr(event.Model), clen(event.Model), C.int64_t(event.AccountID),
		C.int64_t(event.Latency.Milliseconds()), number, flags, ns, cstr(event.Key), clen(event.Key), cstr(event.Extra),
		clen(event.Extra))
	runtime.KeepAlive(b)
	if status == C.REQBUS_OK {
		return nil
	}
	if status == C.REQBUS_CLOSED {
		return closed("bus")
	}
	// Nothing was published: ask again for the sentence.
	_, err = b.PublishRequest(event)
	return err
}

// PublishRequest is [Bus.Publish], and tells the event's id.
func (b *Bus) PublishRequest(event RequestEvent) (ID, error) {
	if b == nil {
		return ID{}, nil
	}
	defer runtime.KeepAlive(b)
	number, err := event.Status.number()
	if err != nil {
		return ID{}, err
	}
	ns, flags := nativeTime(event.Timestamp)
	var id C.reqbus_id
	var failed *C.reqbus_error
	status := C.rb_publish_request_id(b.core.handle(), cstr(event.Method), clen(event.Method), cstr(event.Path),
		clen(event.Path), cstr(event.Model), clen(event.Model), C.int64_t(event.AccountID),
		C.int64_t(event.Latency.Milliseconds()), number, flags, ns, cstr(event.Key), clen(event.Key), cstr(event.Extra),
		clen(event.Extra), &id, &failed)
	return idOf(id), takeError(status, failed)
}

// PublishEvent publishes an event of any kind, and tells its id. Otherwise as [Bus.Publish].
func (b *Bus) PublishEvent(event NewEvent) (ID, error) {
	if b == nil {
		return ID{}, nil
	}
	defer runtime.KeepAlive(b)
	ns, flags := nativeTime(event.Time)
	var id C.reqbus_id
	var failed *C.reqbus_error
	payload := unsafe.String(unsafe.SliceData(event.Payload), len(event.Payload))
	status := C.rb_publish(b.core.handle(), cstr(event.Kind), clen(event.Kind), cstr(event.Key), clen(event.Key),
		unsafe.Pointer(cstr(payload)), clen(payload), C.uint32_t(event.Sort), flags, ns, &id, &failed)
	return idOf(id), takeError(status, failed)
}

// PublishMany publishes events in one step: all of them, in their order and with no other between them, or, if one is
// refused, none. It tells the id of the last.
func (b *Bus) PublishMany(events []NewEvent) (ID, error) {
	if b == nil {
		return ID{}, nil
	}
	defer runtime.KeepAlive(b)
	var texts packed
	words := make([]C.uint32_t, 0, 2*len(events))
	times := make([]C.uint64_t, 0, len(events))
	for _, event := range events {
		texts.add(event.Kind)
		texts.add(event.Key)
		texts.addBytes(event.Payload)
		ns, flags := nativeTime(event.Time)
		words = append(words, C.uint32_t(event.Sort), flags)
		times = append(times, ns)
	}
	var last C.reqbus_id
	var failed *C.reqbus_error
	status := C.rb_publish_many(b.core.handle(), texts.text(), texts.sizes(), unsafe.SliceData(words),
		unsafe.SliceData(times), C.size_t(len(events)), &last, &failed)
	return idOf(last), takeError(status, failed)
}
