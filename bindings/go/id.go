//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape reqbus_id_parse
#cgo nocallback reqbus_id_parse
*/
import "C"

import (
	"strconv"
	"unsafe"
)

// ID names one event of one bus; a reader resumes by it.
type ID struct {
	// Epoch is 64 random bits, drawn once per bus.
	Epoch uint64
	// Seq is 1 for the first event of a bus; 0 stands before the first.
	Seq uint64
}

// ParseID reads the text form of an id, strictly. [ErrMalformedID] for anything else.
func ParseID(text string) (ID, error) {
	var id C.reqbus_id
	if status := C.reqbus_id_parse(cstr(text), clen(text), &id); status != C.REQBUS_OK {
		return ID{}, &Error{Kind: Kind(status), Context: "id"}
	}
	return idOf(id), nil
}

// String is the text form: the epoch as 16 hexadecimal digits, '-', and the sequence number.
func (id ID) String() string {
	const digits = "0123456789abcdef"
	text := make([]byte, 17, C.REQBUS_ID_TEXT_MAX)
	for at := range 16 {
		text[at] = digits[id.Epoch>>(60-4*at)&15]
	}
	text[16] = '-'
	text = strconv.AppendUint(text, id.Seq, 10)
	return unsafe.String(unsafe.SliceData(text), len(text))
}

// IsZero says whether it names nothing.
func (id ID) IsZero() bool { return id == ID{} }

func idOf(id C.reqbus_id) ID { return ID{Epoch: uint64(id.epoch), Seq: uint64(id.seq)} }
