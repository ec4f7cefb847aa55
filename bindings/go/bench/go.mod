module github.com/reqbus/reqbus/bindings/go/bench

go 1.24

require github.com/reqbus/reqbus/bindings/go v0.0.0

require (
	github.com/coder/websocket v1.8.13 // indirect
	golang.org/x/sync v0.12.0
)

replace github.com/reqbus/reqbus/bindings/go => ..
