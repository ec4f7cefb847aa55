//go:build cgo && reqbus_gc

package reqbus

import (
	"runtime"
	"time"
)

// collect runs the garbage collector, so that a handle which is not kept alive through a native call is freed under it.
func collect() {
	runtime.GC()
	time.Sleep(100 * time.Microsecond) // the clean-ups run
}

// isCollecting says whether this is such a build.
const isCollecting = true
