//go:build cgo && !reqbus_testclock

package reqbus

// hasTestClock says whether the library that is linked has a clock that tests drive.
const hasTestClock = false
