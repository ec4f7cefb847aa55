package frameworks

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"
	reqbus "github.com/reqbus/reqbus/bindings/go"
)

func mounted(t *testing.T, mount func(sse, ws, viewer http.Handler) http.Handler) {
	bus, err := reqbus.NewBus(reqbus.BusOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	server := httptest.NewServer(mount(reqbus.SSEHandler(bus), reqbus.WSHandler(bus), reqbus.ViewerHandler()))
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/reqbus/events", nil)
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	defer response.Body.Close()
	conn, _, err := websocket.Dial(ctx, server.URL+"/reqbus/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for bus.Stats().Subscriptions < 2 {
		time.Sleep(time.Millisecond)
	}
	if err := bus.Publish(reqbus.RequestEvent{Path: "/v1/messages"}); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() && !strings.Contains(lines.Text(), `"path":"/v1/messages"`) {
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	if _, text, err := conn.Read(ctx); err != nil || !strings.Contains(string(text), `"path":"/v1/messages"`) {
		t.Fatal(string(text), err)
	}
	viewer, err := http.Get(server.URL + "/reqbus/viewer")
	if err != nil || viewer.StatusCode != http.StatusOK {
		t.Fatal(viewer, err)
	}
	viewer.Body.Close()
}

func TestGin(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	mounted(t, func(sse, ws, viewer http.Handler) http.Handler {
		engine := gin.New()
		group := engine.Group("/reqbus")
		group.GET("/events", gin.WrapH(sse))
		group.GET("/ws", gin.WrapH(ws))
		group.GET("/viewer", gin.WrapH(viewer))
		return engine
	})
}

func TestChi(t *testing.T) {
	mounted(t, func(sse, ws, viewer http.Handler) http.Handler {
		router := chi.NewRouter()
		router.Route("/reqbus", func(r chi.Router) {
			r.Handle("/events", sse)
			r.Handle("/ws", ws)
			r.Handle("/viewer", viewer)
		})
		return router
	})
}

func TestEcho(t *testing.T) {
	mounted(t, func(sse, ws, viewer http.Handler) http.Handler {
		router := echo.New()
		router.GET("/reqbus/events", echo.WrapHandler(sse))
		router.GET("/reqbus/ws", echo.WrapHandler(ws))
		router.GET("/reqbus/viewer", echo.WrapHandler(viewer))
		return router
	})
}
