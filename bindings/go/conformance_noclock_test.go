//go:build cgo && !reqbus_testclock

package reqbus

import "time"

// scriptClock is nothing here: cases that move the clock, and those on a store behind a line, are skipped.
type scriptClock struct{}

func newScriptClock() scriptClock { panic("no clock") }

func (scriptClock) isThere() bool                                     { return false }
func (scriptClock) isOnLine() bool                                    { return false }
func (scriptClock) newBus(BusOptions) (*Bus, error)                   { panic("no clock") }
func (scriptClock) newPool(PoolOptions) (*Pool, error)                { panic("no clock") }
func (scriptClock) newAdmission(RunnerOptions) (*Admission, error)    { panic("no clock") }
func (*scriptClock) newPoolOnLine(options PoolOptions) (*Pool, error) { panic("no clock") }
func (scriptClock) advance(time.Duration)                             { fail("no clock to move") }
func (scriptClock) drive(call func())                                 { call() }
func (scriptClock) settle()                                           {}
func (scriptClock) free()                                             {}
