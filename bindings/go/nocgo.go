//go:build !cgo

// Package reqbus hosts an event bus, and limits on requests in flight, in a gateway's own process. It needs cgo.
package reqbus

// The compiler says this name when cgo is off.
var _ = reqbus_needs_cgo__set_CGO_ENABLED_1_and_install_a_C_compiler_and_libreqbus
