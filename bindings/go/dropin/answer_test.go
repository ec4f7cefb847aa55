package dropin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// The tests of how refusals are answered. Each error is one that a pool really gave.

func refusals(t *testing.T) map[string]error {
	t.Helper()
	s := newSlots(t)
	_, _, _ = s.TryAcquire(reqbus.User(1), 1)
	_, _, _ = s.TryAcquire(reqbus.Account(1), 1)
	errs := map[string]error{"infrastructure": errors.New("dial tcp 10.0.0.7:6379: redis is down")}
	acquire := func(ctx context.Context, name string, key reqbus.Key, options ...reqbus.AcquireOption) {
		_, errs[name] = s.Pool.Acquire(ctx, key, 1, options...)
	}
	acquire(soon(t), "user timeout", reqbus.User(1), reqbus.Timeout(time.Millisecond))
	acquire(soon(t), "account timeout", reqbus.Account(1), reqbus.Timeout(time.Millisecond))
	acquire(soon(t), "account full", reqbus.Account(1), reqbus.Timeout(0))
	waiting, err := s.Pool.Wait([]reqbus.Ask{{Key: reqbus.User(1), Limit: 1}})
	if err != nil {
		t.Fatal(err)
	}
	acquire(soon(t), "queue full", reqbus.User(1), reqbus.MaxWaiting(1))
	waiting.Close()
	done, cancel := context.WithCancel(context.Background())
	cancel()
	acquire(done, "canceled", reqbus.User(1))
	late, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	acquire(late, "deadline", reqbus.User(1))
	s.Pool.Close()
	acquire(soon(t), "closed", reqbus.User(1))
	return errs
}

func TestConcurrencyErrorResponse(t *testing.T) {
	const busy, full = "gateway_concurrency_limit", "gateway_queue_full"
	for name, err := range refusals(t) {
		want := map[string]struct {
			status        int
			code, message string
		}{
			"user timeout":    {429, busy, "Concurrency limit exceeded for user, please retry later"},
			"account timeout": {429, busy, "Concurrency limit exceeded for account, please retry later"},
			"account full":    {429, busy, "Concurrency limit exceeded for account, please retry later"},
			"queue full":      {429, full, "Too many pending requests, please retry later"},
			"canceled":        {499, "", ""},
			"deadline":        {503, "", "Service temporarily unavailable"},
			"closed":          {503, "", "Service temporarily unavailable"},
			"infrastructure":  {503, "", "Service temporarily unavailable"},
		}[name]
		w := httptest.NewRecorder()
		if err := AnswerOf(err, "caller's").Write(w, false); err != nil {
			t.Fatal(err)
		}
		var body struct {
			Type  string
			Error struct{ Type, Code, Message string }
		}
		if want.status == 499 {
			if w.Code != 499 || w.Body.Len() != 0 {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
			continue
		}
		if json.Unmarshal(w.Body.Bytes(), &body); w.Code != want.status || body.Type != "error" || body.Error.Code != want.code ||
			body.Error.Message != want.message || strings.Contains(w.Body.String(), "10.0.0.7") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if kind := map[int]string{429: "rate_limit_error", 503: "api_error"}[want.status]; body.Error.Type != kind {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
}

func TestConcurrencyErrorResponse_Gemini(t *testing.T) {
	for name, err := range refusals(t) {
		w := httptest.NewRecorder()
		if err := AnswerOf(err, "user").WriteGemini(w, false); err != nil {
			t.Fatal(err)
		}
		var body struct {
			Error struct {
				Code            int
				Message, Status string
			}
		}
		if w.Code == 499 {
			continue
		}
		status := map[int]string{429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}[w.Code]
		if json.Unmarshal(w.Body.Bytes(), &body); body.Error.Code != w.Code || body.Error.Status != status || body.Error.Message == "" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestConcurrencyErrorResponse_AfterTheStreamStarted(t *testing.T) {
	errs := refusals(t)
	w := httptest.NewRecorder()
	if err := AnswerOf(errs["user timeout"], "").Write(w, true); err != nil {
		t.Fatal(err)
	}
	data, ok := strings.CutPrefix(w.Body.String(), "event: error\ndata: ")
	if !ok || !strings.HasSuffix(data, "}\n\n") || !json.Valid([]byte(data)) || !w.Flushed || w.Code != http.StatusOK {
		t.Fatal(w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	if err := AnswerOf(errs["canceled"], "").Write(w, true); err != nil || w.Body.Len() != 0 {
		t.Fatal(err, w.Body)
	}
}

func TestConcurrencyErrorResponse_RetryAfter(t *testing.T) {
	w := httptest.NewRecorder()
	err := &reqbus.Error{Kind: reqbus.KindQueueFull, Refusal: &reqbus.Refusal{RetryAfter: 5 * time.Second}}
	if err := AnswerOf(fmt.Errorf("wrapped: %w", err), "user").Write(w, false); err != nil || w.Header().Get("Retry-After") != "5" {
		t.Fatal(err, w.Header())
	}
}

// The contract without "routing budget" and "slot type mismatch", which are the gateway's own.
func TestHandleConcurrencyErrorContract(t *testing.T) {
	for name, err := range refusals(t) {
		want := map[string]int{
			"user timeout": 429, "account timeout": 429, "account full": 429, "queue full": 429, "canceled": 499, "deadline": 503,
			"closed": 503, "infrastructure": 503,
		}[name]
		if got := AnswerOf(err, "user").Status; got != want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestIsAccountSlotCapacityError(t *testing.T) {
	for name, err := range refusals(t) {
		want := name == "account timeout" || name == "account full"
		if got := IsCapacityError(err, "account"); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if IsCapacityError(nil, "account") {
		t.Error("no error")
	}
}
