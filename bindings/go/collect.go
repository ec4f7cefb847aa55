//go:build cgo && !reqbus_gc

package reqbus

// collect runs the garbage collector before a native call in builds with tag reqbus_gc, which find a handle that is not
// kept alive; here it is nothing.
func collect() {}

// isCollecting says whether this is such a build.
const isCollecting = false
