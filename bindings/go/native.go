//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape rb_error_texts
#cgo nocallback rb_error_texts
#cgo noescape reqbus_error_free
#cgo nocallback reqbus_error_free
*/
import "C"

import (
	"time"
	"unsafe"
)

// A Go string as C reads it during one call; nothing is copied. It holds no Go pointers, so cgo lets it pass.
func cstr(s string) *C.char { return (*C.char)(unsafe.Pointer(unsafe.StringData(s))) }

func clen(s string) C.size_t { return C.size_t(len(s)) }

// Texts of one call, one behind the other: how lists of strings pass, as memory without Go pointers.
type packed struct {
	bytes []byte
	lens  []C.size_t
}

func (p *packed) add(s string) {
	p.bytes = append(p.bytes, s...)
	p.lens = append(p.lens, C.size_t(len(s)))
}

func (p *packed) addBytes(b []byte) {
	p.bytes = append(p.bytes, b...)
	p.lens = append(p.lens, C.size_t(len(b)))
}

func (p *packed) text() *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(p.bytes))) }

func (p *packed) sizes() *C.size_t { return unsafe.SliceData(p.lens) }

// A copy of C's text.
func goText(ptr *C.char, n C.size_t) string {
	if n == 0 {
		return ""
	}
	return string(unsafe.Slice((*byte)(unsafe.Pointer(ptr)), int(n)))
}

func nanos(ns C.uint64_t) time.Duration { return time.Duration(ns) }

// C's boolean.
func yes(answer C.int32_t) bool { return answer == 1 }

// takeError makes an error of a status and the library's own, which it frees. nil for REQBUS_OK.
func takeError(status C.reqbus_status, native *C.reqbus_error) error {
	if status == C.REQBUS_OK && native == nil {
		return nil
	}
	made := &Error{Kind: Kind(status)}
	if native != nil {
		var message, context C.reqbus_text
		C.rb_error_texts(native, &message, &context)
		made.Message = goText(message.ptr, message.len)
		made.Context = goText(context.ptr, context.len)
		C.reqbus_error_free(&native)
	}
	return made
}

// ofStatus makes an error of a status alone; nil for success.
func ofStatus(status C.reqbus_status) error {
	if status == C.REQBUS_OK {
		return nil
	}
	return &Error{Kind: Kind(status)}
}

// milliseconds for C, rounded up, so that a wait is never shorter than asked for and a small one is not none.
func milliseconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond != 0 {
		ms++
	}
	return ms
}
