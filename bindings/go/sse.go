//go:build cgo

package reqbus

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// SSEHandler serves the bus as server-sent events: to EventSource, curl, anything. A client resumes by the Last-Event-ID
// header, else by ?last_event_id=; a reader that fell behind gets what the log has, and an event that says what it missed.
// It ends with the request or the bus.
//
// Mount it where nothing buffers or compresses. It needs nothing but net/http.
func SSEHandler(bus *Bus, options ...HandlerOptions) http.Handler {
	return &sseHandler{newHandler(bus, options, 15*time.Second)}
}

type sseHandler struct{ handler }

func (h *sseHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if h.bus == nil || h.isDisabled() {
		http.Error(w, "not available", http.StatusServiceUnavailable)
		return
	}
	client := clientOf(r, h.TrustedProxies)
	if !h.Limits.reserve(client) {
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
		return
	}
	defer h.Limits.release(client)
	sub, err := h.bus.Subscribe(r.Context(), h.resume(r))
	if err != nil {
		http.Error(w, "not available", http.StatusServiceUnavailable)
		return
	}
	defer sub.Close()
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-cache")
	header.Set("X-Accel-Buffering", "no")
	out := sseWriter{w, http.NewResponseController(w), h.WriteTimeout}
	if out.write([]byte(fmt.Sprintf("retry: %d\n\n", h.Retry.Milliseconds()))) == nil {
		h.serve(r, sub, &out)
	}
}

func (h *sseHandler) serve(r *http.Request, sub *Subscription, out *sseWriter) {
	silence := time.NewTimer(h.Heartbeat)
	defer silence.Stop()
	use := func(texts Texts) error { return out.write(texts.Buffer) }
	try := func() (bool, error) { return sub.TryTexts(FormSSE, ReadLimits{}, use) }
	for {
		isSilent, err := sub.core.waitOrTick(r.Context(), silence.C, try)
		if err != nil {
			return // the client is gone, or the bus is closed
		}
		if isSilent && h.beat(sub, out, try) != nil {
			return
		}
		silence.Reset(h.Heartbeat)
	}
}

// beat tells a quiet client the settled id. It looks once more before: events that the filter leaves out are settled by that.
func (h *sseHandler) beat(sub *Subscription, out *sseWriter, try func() (bool, error)) error {
	if some, err := try(); some || err != nil {
		return err
	}
	return out.write([]byte(sub.Heartbeat(FormSSE)))
}

// sseWriter writes what a client gets, at once and not for longer than it may take.
type sseWriter struct {
	to      io.Writer
	control *http.ResponseController
	timeout time.Duration
}

func (w *sseWriter) write(text []byte) error {
	// A writer that knows no deadline is the server's affair.
	_ = w.control.SetWriteDeadline(time.Now().Add(w.timeout))
	if _, err := w.to.Write(text); err != nil {
		return err
	}
	return w.control.Flush()
}
