//go:build cgo

package reqbus

import (
	_ "embed"
	"net/http"
)

//go:embed viewer.html
var viewerPage []byte

// ViewerHandler serves a page that shows the requests as they finish. It reads them from "events" beside its own address:
// mount [SSEHandler] there.
func ViewerHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'")
		w.Write(viewerPage)
	})
}
