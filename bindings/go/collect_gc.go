//go:build cgo && reqbus_gc

package reqbus

import "runtime"

// collect runs the garbage collector, so that a handle which is not kept alive through a native call is freed under it.
func collect() { runtime.GC() }

// isCollecting says whether this is such a build.
const isCollecting = true
