module github.com/reqbus/reqbus/bindings/go

go 1.24
