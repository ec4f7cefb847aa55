module github.com/reqbus/reqbus/examples/go

go 1.24

require github.com/reqbus/reqbus/bindings/go v0.0.0

require github.com/coder/websocket v1.8.13 // indirect

replace github.com/reqbus/reqbus/bindings/go => ../../bindings/go
