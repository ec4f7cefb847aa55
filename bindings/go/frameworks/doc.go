// Package frameworks holds tests that mount the handlers of reqbus in gin, chi and echo: in a module of its own, so that
// the package itself needs none of them.
package frameworks
