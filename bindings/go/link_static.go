//go:build cgo && reqbus_static && !reqbus_testclock

package reqbus

// #cgo pkg-config: reqbus-static
import "C"

// LinkedAs says how the library was linked: "shared", or "static" with build tag reqbus_static.
const LinkedAs = "static"
