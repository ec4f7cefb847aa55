package dropin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// Answer is how a client is told that there is no slot for it. It holds nothing of the store's: no address, no id.
type Answer struct {
	// Status is that of HTTP; 499 for a client that has gone, with an empty body.
	Status int
	// Type, Code and Message are what bodies hold.
	Type, Code, Message string
	// RetryAfter is when to try again; 0 if nothing can be said.
	RetryAfter time.Duration
}

// statusClientGone is what proxies write to their logs for it.
const statusClientGone = 499

// AnswerOf makes an answer of an error. scope is what was asked for; the one that the error names wins over it.
func AnswerOf(err error, scope string) Answer {
	refusal := reqbus.RefusalOf(err)
	var after time.Duration
	if refusal != nil {
		after = refusal.RetryAfter
		if refusal.Scope != "" {
			scope = refusal.Scope
		}
	}
	switch {
	case errors.Is(err, reqbus.ErrQueueFull):
		return Answer{
			http.StatusTooManyRequests, "rate_limit_error", "gateway_queue_full", "Too many pending requests, please retry later", after,
		}
	case errors.Is(err, reqbus.ErrTimedOut), errors.Is(err, reqbus.ErrNoRoom):
		message := fmt.Sprintf("Concurrency limit exceeded for %s, please retry later", scope)
		return Answer{http.StatusTooManyRequests, "rate_limit_error", "gateway_concurrency_limit", message, after}
	case errors.Is(err, context.Canceled):
		return Answer{Status: statusClientGone}
	}
	return Answer{Status: http.StatusServiceUnavailable, Type: "api_error", Message: "Service temporarily unavailable"}
}

// IsCapacityError says whether an error is that a key of the scope has no room, and nothing worse: another account may have.
func IsCapacityError(err error, scope string) bool {
	isFull := errors.Is(err, reqbus.ErrQueueFull) || errors.Is(err, reqbus.ErrTimedOut) || errors.Is(err, reqbus.ErrNoRoom)
	refusal := reqbus.RefusalOf(err)
	return isFull && refusal != nil && refusal.Scope == scope
}

// Write writes the answer as Anthropic's and OpenAI's clients read it. If the stream has begun, because pings were written,
// it is an event.
func (a Answer) Write(w http.ResponseWriter, streamStarted bool) error {
	type inner struct {
		Type    string `json:"type"`
		Message string `json:"message"`
		Code    string `json:"code,omitempty"`
	}
	return a.write(w, streamStarted, struct {
		Type  string `json:"type"`
		Error inner  `json:"error"`
	}{"error", inner{a.Type, a.Message, a.Code}})
}

// WriteGemini writes it as Google's clients read it.
func (a Answer) WriteGemini(w http.ResponseWriter, streamStarted bool) error {
	status := "UNAVAILABLE"
	if a.Status == http.StatusTooManyRequests {
		status = "RESOURCE_EXHAUSTED"
	}
	type inner struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Status  string `json:"status"`
	}
	return a.write(w, streamStarted, struct {
		Error inner `json:"error"`
	}{inner{a.Status, a.Message, status}})
}

func (a Answer) write(w http.ResponseWriter, streamStarted bool, body any) error {
	if a.Status == statusClientGone {
		if !streamStarted {
			w.WriteHeader(a.Status)
		}
		return nil
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if streamStarted {
		if _, err := fmt.Fprintf(w, "event: error\ndata: %s\n\n", text); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	w.Header().Set("Content-Type", "application/json")
	if a.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(a.RetryAfter.Seconds())))
	}
	w.WriteHeader(a.Status)
	_, err = w.Write(text)
	return err
}
