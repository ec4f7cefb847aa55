//go:build cgo && reqbus_testclock

package reqbus

// Where the library for tests and its headers are, CGO_CFLAGS and CGO_LDFLAGS say.

// #cgo LDFLAGS: -lreqbus
import "C"

// LinkedAs says how the library was linked: here one that only tests have.
const LinkedAs = "testclock"
