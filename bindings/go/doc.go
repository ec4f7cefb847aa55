//go:build cgo

// Package reqbus hosts an event bus, and limits on requests in flight, in a gateway's own process.
//
// The [Bus]: each finished request becomes an event; dashboards, loggers and metrics subscribe, live or resuming after a
// disconnect. A slow reader never slows a request down, and always learns exactly what it missed: a loss is an item
// among the events ([Lost]), never an error and never the end.
//
// The [Pool]: at most so many requests in flight per user, account or key. Who finds no room waits its turn in a bounded
// queue, with keep-alive pings to its client, and gets the [Slot] the moment one is given back.
//
// The [Runner]: periodic checks of many things, such as the health of upstream accounts, a few at a time and never two of one
// at once. A [Teller] tells on the bus what happens in pools and runners.
//
// It is a face of libreqbus, which must be installed where pkg-config finds it (build tag reqbus_static links the archive
// into the program). A cgo compiler is needed.
//
// # What holds everywhere
//
//   - Whatever can wait takes a context first. No call of this package blocks a thread: who waits is a parked goroutine,
//     woken through one goroutine per bus and one per pool, which begin with the first wait. A runner has one goroutine, and
//     one for each check while it runs.
//   - Close is idempotent and returns an error only for the form. A closed bus is still read to its end.
//   - Any method may be called from any goroutine at any time. One goroutine at a time waits on a subscription or a
//     [Wait]; a second one gets [ErrBusy].
//   - Errors are [*Error]; errors.Is compares them with the sentinels ([ErrClosed], [ErrQueueFull] ...). They name the
//     field, the size and the limit, never the value.
//   - Nothing is printed, read from the environment, or started before it is needed.
package reqbus
