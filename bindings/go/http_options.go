//go:build cgo

package reqbus

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// OriginPolicy says which WebSocket clients are let in. The host name of an Origin must always equal the request's.
type OriginPolicy int

const (
	// AllowNoOrigin lets clients in that send no Origin, which browsers always do.
	AllowNoOrigin OriginPolicy = iota
	// StrictOrigin refuses them.
	StrictOrigin
)

// ParseOriginPolicy reads "permissive" or "strict", in any case; anything else is the default, [AllowNoOrigin].
func ParseOriginPolicy(text string) OriginPolicy {
	if strings.EqualFold(strings.TrimSpace(text), "strict") {
		return StrictOrigin
	}
	return AllowNoOrigin
}

// HandlerOptions says how [SSEHandler] and [WSHandler] serve. Zero is every default.
type HandlerOptions struct {
	// Subscribe is what each client reads: keys, kinds, label. Overflow is always CatchUp; Start is where a client without
	// an id begins.
	Subscribe SubscribeOptions
	// Heartbeat is after what silence a heartbeat (SSE, 15 s) or a ping (WebSocket, 30 s) is sent.
	Heartbeat time.Duration
	// Retry is how long an EventSource waits before it connects again; 3 s.
	Retry time.Duration
	// WriteTimeout is how long one write may take; 10 s.
	WriteTimeout time.Duration
	// Linger is how long a burst may gather into one write; 10 ms. Less than 0 does not wait.
	Linger time.Duration
	// Limits bound the connections. nil makes one of its own for the handler: 100 in all, 20 per address.
	Limits *ConnLimits
	// TrustedProxies are those whose X-Forwarded-For and X-Forwarded-Host are believed; none by default.
	TrustedProxies []netip.Prefix
	// Origin is who may open a WebSocket.
	Origin OriginPolicy
	// Subprotocol is the only WebSocket subprotocol that is answered: what else a client offers, a token perhaps, is never
	// echoed.
	Subprotocol string
	// IsDisabled, if it says true, refuses clients: WebSockets with close code 4001, so that they do not connect again.
	IsDisabled func() bool
}

// handler is what both have in common.
type handler struct {
	bus *Bus
	HandlerOptions
}

func newHandler(bus *Bus, options []HandlerOptions, heartbeat time.Duration) handler {
	h := handler{bus: bus}
	if len(options) > 0 {
		h.HandlerOptions = options[0]
	}
	if h.Limits == nil {
		h.Limits = &ConnLimits{}
	}
	setDefault(&h.Heartbeat, heartbeat)
	setDefault(&h.Retry, 3*time.Second)
	setDefault(&h.WriteTimeout, 10*time.Second)
	setDefault(&h.Linger, 10*time.Millisecond)
	h.Subscribe.Overflow = CatchUp
	h.Subscribe.Linger = max(h.Linger, 0)
	return h
}

func setDefault(d *time.Duration, otherwise time.Duration) {
	if *d == 0 {
		*d = otherwise
	}
}

func (h *handler) isDisabled() bool { return h.IsDisabled != nil && h.IsDisabled() }

// resume is how the client wants to begin: after the id in the header, else in the query, else where the host says.
func (h *handler) resume(r *http.Request) SubscribeOptions {
	how := h.Subscribe
	if header := r.Header.Values("Last-Event-ID"); len(header) > 0 {
		how.Start, how.After = After, header[0]
	} else if query := r.URL.Query(); query.Has("last_event_id") {
		how.Start, how.After = After, query.Get("last_event_id")
	}
	return how
}

// isAllowed checks the Origin.
func (h *handler) isAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return h.Origin == AllowNoOrigin
	}
	parsed, err := url.Parse(origin)
	return err == nil && parsed.Host != "" && hostname(parsed.Host) == hostname(hostOf(r, h.TrustedProxies))
}
