//go:build cgo

package reqbus

// #include "shim.h"
import "C"

import (
	"encoding/json"
	"strconv"
	"time"
)

// RequestStatus says how a request ended.
type RequestStatus string

// How a request ended. The empty status is Success.
const (
	Success     RequestStatus = "success"
	Failure     RequestStatus = "error"
	RateLimited RequestStatus = "rate_limited"
)

func (s RequestStatus) number() (C.uint32_t, error) {
	switch s {
	case Success, "":
		return C.REQBUS_REQUEST_SUCCESS, nil
	case Failure:
		return C.REQBUS_REQUEST_ERROR, nil
	case RateLimited:
		return C.REQBUS_REQUEST_RATE_LIMITED, nil
	}
	return 0, &Error{Kind: KindInvalidArgument, Context: "status", Message: "status is none of success, error and rate_limited"}
}

func requestStatus(number C.uint32_t) RequestStatus {
	switch number {
	case C.REQBUS_REQUEST_SUCCESS:
		return Success
	case C.REQBUS_REQUEST_ERROR:
		return Failure
	case C.REQBUS_REQUEST_RATE_LIMITED:
		return RateLimited
	}
	return ""
}

// RequestEvent is a finished request, to publish and as it is read. Zero is every default.
type RequestEvent struct {
	// Timestamp is when it finished; the zero time is now.
	Timestamp time.Time
	// Method is the HTTP method.
	Method string
	// Path is shown to whoever reads the bus: no secrets in it.
	Path string
	// Model is the model's name.
	Model string
	// AccountID is the upstream account.
	AccountID int64
	// Status is how it ended.
	Status RequestStatus
	// Latency is told in whole milliseconds.
	Latency time.Duration
	// Key is what filters by key look at, often the user or the account: at most 255 bytes.
	Key string
	// Extra is the text of a JSON object whose fields follow the seven above in JSON; "" for none.
	Extra string
}

// MarshalJSON gives the seven fields in the order and under the names that gateways have: timestamp, method, path, model,
// account_id, status, latency_ms. What the bus itself writes has the fields of Extra too, and costs nothing per reader.
func (e RequestEvent) MarshalJSON() ([]byte, error) {
	status := e.Status
	if status == "" {
		status = Success
	}
	return json.Marshal(struct {
		Timestamp time.Time `json:"timestamp"`
		Method    string    `json:"method"`
		Path      string    `json:"path"`
		Model     string    `json:"model"`
		AccountID int64     `json:"account_id"`
		Status    string    `json:"status"`
		LatencyMS int64     `json:"latency_ms"`
	}{e.Timestamp, e.Method, e.Path, e.Model, e.AccountID, string(status), e.Latency.Milliseconds()})
}

// PayloadSort says what a payload is.
type PayloadSort uint32

// What a payload is.
const (
	// JSON is one JSON value, checked when published.
	JSON PayloadSort = C.REQBUS_PAYLOAD_JSON
	// Text is UTF-8, checked when published.
	Text PayloadSort = C.REQBUS_PAYLOAD_TEXT
	// Bytes are written as base64 in JSON and SSE.
	Bytes PayloadSort = C.REQBUS_PAYLOAD_BYTES
	// Request is a [RequestEvent]: only of events that are read.
	Request PayloadSort = C.REQBUS_PAYLOAD_REQUEST
)

func (s PayloadSort) String() string {
	switch s {
	case JSON:
		return "json"
	case Text:
		return "text"
	case Bytes:
		return "bytes"
	case Request:
		return "request"
	}
	return strconv.FormatUint(uint64(s), 10)
}

// NewEvent is an event to be published.
type NewEvent struct {
	// Kind names what happened: 1 to 255 bytes, not beginning with "reqbus.".
	Kind string
	// Key is what filters by key look at: at most 255 bytes.
	Key string
	// Payload is at most 1 MiB.
	Payload []byte
	// Sort says what the payload is; JSON if it is left out.
	Sort PayloadSort
	// Time is when it happened; the zero time is now.
	Time time.Time
}

// nativeTime is a time for C, and its flag.
func nativeTime(t time.Time) (ns C.uint64_t, flags C.uint32_t) {
	if t.IsZero() {
		return 0, 0
	}
	return C.uint64_t(t.UnixNano()), C.REQBUS_EVENT_TIME_SET
}

func goTime(ns C.uint64_t) time.Time { return time.Unix(0, int64(ns)).UTC() }
