//go:build cgo

package reqbus

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// CloseDisabled is the close code for clients of a handler that is switched off: connect no more.
const CloseDisabled = 4001

const (
	wsPongWait  = 60 * time.Second
	wsReadLimit = 1024
)

// WSHandler serves the bus over WebSockets: one JSON object per message, with id, kind, time and payload. A client resumes
// by ?last_event_id=. Connections are counted before the upgrade; those over the limit get 503.
func WSHandler(bus *Bus, options ...HandlerOptions) http.Handler {
	return &wsHandler{newHandler(bus, options, 30*time.Second)}
}

type wsHandler struct{ handler }

func (h *wsHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.bus == nil {
		http.Error(w, "not available", http.StatusServiceUnavailable)
		return
	}
	if !h.isAllowed(r) {
		http.Error(w, "origin not allowed", http.StatusForbidden)
		return
	}
	client := clientOf(r, h.TrustedProxies)
	if !h.Limits.reserve(client) {
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
		return
	}
	defer h.Limits.release(client)
	// The origin is checked above, by rules that the library does not know.
	how := websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled}
	if h.Subprotocol != "" {
		how.Subprotocols = []string{h.Subprotocol}
	}
	if h.isDisabled() && r.Header.Get("Upgrade") == "" {
		http.NotFound(w, r)
		return
	}
	conn, err := websocket.Accept(w, r, &how)
	if err != nil {
		return // it has answered
	}
	defer conn.CloseNow()
	if h.isDisabled() {
		conn.Close(CloseDisabled, "realtime_disabled")
		return
	}
	sub, err := h.bus.Subscribe(r.Context(), h.resume(r))
	if err != nil {
		conn.Close(websocket.StatusTryAgainLater, "not available")
		return
	}
	defer sub.Close()
	h.serve(r.Context(), conn, sub)
}

func (h *wsHandler) serve(ctx context.Context, conn *websocket.Conn, sub *Subscription) {
	conn.SetReadLimit(wsReadLimit)
	ctx, stop := context.WithCancel(ctx)
	var reader sync.WaitGroup
	reader.Add(1)
	// Control frames are answered while somebody reads; what clients say otherwise means nothing here.
	go func() {
		defer reader.Done()
		defer stop()
		for {
			if _, _, err := conn.Read(ctx); err != nil {
				return
			}
		}
	}()
	defer reader.Wait()
	defer conn.CloseNow()
	defer stop()

	silence := time.NewTimer(h.Heartbeat)
	defer silence.Stop()
	use := func(texts Texts) error {
		return texts.Each(func(text []byte) error {
			writing, done := context.WithTimeout(ctx, h.WriteTimeout)
			defer done()
			return conn.Write(writing, websocket.MessageText, text)
		})
	}
	try := func() (bool, error) { return sub.TryTexts(FormEnvelope, ReadLimits{}, use) }
	for {
		isSilent, err := sub.core.waitOrTick(ctx, silence.C, try)
		if err != nil {
			if ctx.Err() == nil {
				conn.Close(websocket.StatusGoingAway, "closed")
			}
			return
		}
		if isSilent {
			pong, done := context.WithTimeout(ctx, wsPongWait)
			err := conn.Ping(pong)
			done()
			if err != nil {
				return
			}
		}
		silence.Reset(h.Heartbeat)
	}
}
