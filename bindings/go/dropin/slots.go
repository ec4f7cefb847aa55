package dropin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// PingFormat is what is written to a client that waits; "" writes nothing.
type PingFormat string

// What clients know.
const (
	// PingNone writes nothing.
	PingNone PingFormat = ""
	// PingClaude is an event of Anthropic's, which resets the client's own watchdog.
	PingClaude PingFormat = "data: {\"type\": \"ping\"}\n\n"
	// PingComment is a comment, which proxies count as traffic and clients pass over.
	PingComment PingFormat = ":\n\n"
)

// ErrStreamingNotSupported: pings were asked for, and the writer cannot flush. Found before the wait begins.
var ErrStreamingNotSupported = errors.New("streaming not supported")

// Slots takes slots as gateways do: with a wait, a release function, and pings to the client. A max of 0 or less means
// unlimited here, and nowhere else in reqbus.
type Slots struct {
	// Pool is where the slots are.
	Pool *reqbus.Pool
	// Ping is what is written to clients whose requests stream.
	Ping PingFormat
	// PingEvery is how often; 15 s by default.
	PingEvery time.Duration
}

// AcquireUserSlotWithWait takes a slot of a user, waits for it for up to 30 s, and returns the function that releases it,
// once. If the request streams, pings are written meanwhile, and *streamStarted says that one was: from then on errors must
// go out as events. The release is also run by the end of ctx.
func (s *Slots) AcquireUserSlotWithWait(
	ctx context.Context, w http.ResponseWriter, userID int64, max int64, isStream bool, streamStarted *bool,
) (release func(), err error) {
	return s.AcquireWithWait(ctx, w, reqbus.User(userID), max, 0, isStream, streamStarted)
}

// AcquireAccountSlotWithWait is the same for an upstream account.
func (s *Slots) AcquireAccountSlotWithWait(
	ctx context.Context, w http.ResponseWriter, accountID int64, max int64, isStream bool, streamStarted *bool,
) (release func(), err error) {
	return s.AcquireWithWait(ctx, w, reqbus.Account(accountID), max, 0, isStream, streamStarted)
}

// AcquireAccountSlotWithWaitTimeout waits for up to timeout.
func (s *Slots) AcquireAccountSlotWithWaitTimeout(
	ctx context.Context, w http.ResponseWriter, accountID int64, max int64, timeout time.Duration, isStream bool,
	streamStarted *bool,
) (release func(), err error) {
	return s.AcquireWithWait(ctx, w, reqbus.Account(accountID), max, timeout, isStream, streamStarted)
}

// AcquireWithWait is what the others are, for any key; a timeout of 0 is 30 s.
func (s *Slots) AcquireWithWait(
	ctx context.Context, w http.ResponseWriter, key reqbus.Key, max int64, timeout time.Duration, isStream bool,
	streamStarted *bool,
) (release func(), err error) {
	limit, err := reqbus.NonpositiveIsUnlimited(max)
	if err != nil {
		return nil, err
	}
	how := reqbus.WaitOptions{Timeout: timeout, PingEvery: s.PingEvery}
	if isStream && s.Ping != PingNone {
		pings, err := newPinger(w, s.Ping, streamStarted)
		if err != nil {
			// Only who must wait needs a writer that can flush.
			how.Try = true
		} else {
			how.OnPing = pings.write
		}
	}
	slot, err := s.Pool.Acquire(ctx, key, limit, how)
	if how.Try && errors.Is(err, reqbus.ErrNoRoom) {
		return nil, ErrStreamingNotSupported
	}
	if err != nil {
		return nil, err
	}
	slot.ReleaseOnDone(ctx)
	return func() { slot.Release() }, nil
}

// TryAcquire takes a slot and does not wait: the release function, and whether there is one.
func (s *Slots) TryAcquire(key reqbus.Key, max int64) (release func(), acquired bool, err error) {
	limit, err := reqbus.NonpositiveIsUnlimited(max)
	if err != nil {
		return nil, false, err
	}
	slot, err := s.Pool.TryAcquire([]reqbus.Ask{{Key: key, Limit: limit}}, "")
	switch {
	case errors.Is(err, reqbus.ErrNoRoom):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	return func() { slot.Release() }, true, nil
}

// pinger writes pings to a client.
type pinger struct {
	to            io.Writer
	header        http.Header
	flush         func() error
	text          string
	streamStarted *bool
	written       bool
}

func newPinger(w http.ResponseWriter, format PingFormat, streamStarted *bool) (*pinger, error) {
	if w == nil || !canFlush(w) {
		return nil, ErrStreamingNotSupported
	}
	flush := http.NewResponseController(w).Flush
	return &pinger{to: w, header: w.Header(), flush: flush, text: string(format), streamStarted: streamStarted}, nil
}

// canFlush looks through wrappers, as http.ResponseController does.
func canFlush(w http.ResponseWriter) bool {
	for {
		switch inner := w.(type) {
		case http.Flusher, interface{ FlushError() error }:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = inner.Unwrap()
		default:
			return false
		}
	}
}

func (p *pinger) write() error {
	if !p.written {
		p.written = true
		p.header.Set("Content-Type", "text/event-stream")
		p.header.Set("Cache-Control", "no-cache")
		p.header.Set("Connection", "keep-alive")
		p.header.Set("X-Accel-Buffering", "no")
		if p.streamStarted != nil {
			*p.streamStarted = true
		}
	}
	if _, err := io.WriteString(p.to, p.text); err != nil {
		return err
	}
	return p.flush()
}
