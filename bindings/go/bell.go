//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape reqbus_bell_fd
#cgo nocallback reqbus_bell_fd
#cgo noescape reqbus_bell_free
#cgo nocallback reqbus_bell_free
#cgo noescape reqbus_bell_new
#cgo nocallback reqbus_bell_new
#cgo noescape reqbus_bell_take
#cgo nocallback reqbus_bell_take
*/
import "C"

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// waker is one sleeper. Wakes may be spurious: whoever is woken looks again.
type waker struct {
	ch chan struct{}
	// rung, if there is one, runs on the bell's goroutine instead; it must not block.
	rung func()
}

func newWaker() *waker { return &waker{ch: make(chan struct{}, 1)} }

func (w *waker) wake() {
	if w.rung != nil {
		w.rung()
		return
	}
	select {
	case w.ch <- struct{}{}:
	default: // it is awake already
	}
}

// bell wakes any number of goroutines: one descriptor under the netpoller, one goroutine that reads it. Its users are
// its owner (a bus or a pool) and what sleeps on it; when the last lets go, descriptor and goroutine end.
type bell struct {
	native *C.reqbus_bell
	file   *os.File
	users  atomic.Int64
	// gather is how long a burst may gather before its readers are woken: it is one wake then, and its publisher does not
	// meet them at the log.
	gather time.Duration

	mu     sync.Mutex
	wakers map[uint64]*waker
	next   uint64
}

// openBell makes a bell with one user.
func openBell(gather time.Duration) (*bell, error) {
	var native *C.reqbus_bell
	var failed *C.reqbus_error
	if status := C.reqbus_bell_new(&native, &failed); status != C.REQBUS_OK {
		return nil, takeError(status, failed)
	}
	var fd C.int
	if status := C.reqbus_bell_fd(native, &fd, &failed); status != C.REQBUS_OK {
		C.reqbus_bell_free(&native)
		return nil, takeError(status, failed)
	}
	// A copy of our own, which os.File may close. The bell's is non-blocking, and so is the copy: what the netpoller asks.
	own, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		C.reqbus_bell_free(&native)
		return nil, &Error{Kind: KindSystem, Context: "bell", Message: "its descriptor cannot be copied", cause: errno}
	}
	b := &bell{
		native: native,
		file:   os.NewFile(own, "reqbus bell"),
		gather: gather,
		wakers: make(map[uint64]*waker),
	}
	b.users.Store(1)
	go b.serve()
	return b, nil
}

// serve is the bell's goroutine. It ends when the file is closed.
func (b *bell) serve() {
	var sink [256]byte
	for {
		// Reads what was written, and so clears the descriptor; take looks at the set after that.
		if _, err := b.file.Read(sink[:]); err != nil {
			break
		}
		if b.gather > 0 {
			time.Sleep(b.gather)
		}
		b.take()
	}
	native := b.native
	C.reqbus_bell_free(&native)
}

// take wakes everybody who is ready.
func (b *bell) take() {
	var tokens [64]C.uint64_t
	for {
		var taken C.size_t
		C.reqbus_bell_take(b.native, &tokens[0], C.size_t(len(tokens)), &taken)
		for _, token := range tokens[:taken] {
			b.wake(uint64(token))
		}
		if int(taken) < len(tokens) {
			return
		}
	}
}

func (b *bell) wake(token uint64) {
	b.mu.Lock()
	w := b.wakers[token]
	b.mu.Unlock()
	if w != nil {
		w.wake()
	}
}

// wakeAll wakes whom a call of this goroutine's thread made ready.
func (b *bell) wakeAll(tokens *C.rb_tokens) {
	for _, token := range tokens.token[:tokens.count] {
		b.wake(uint64(token))
	}
}

// add makes w the one who is woken under the token that it returns. The bell has one more user until remove.
func (b *bell) add(w *waker) uint64 {
	b.users.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	b.wakers[b.next] = w
	return b.next
}

// remove ends that.
func (b *bell) remove(token uint64) {
	b.mu.Lock()
	delete(b.wakers, token)
	b.mu.Unlock()
	b.release()
}

// retain adds a user; false if the last one has let go already.
func (b *bell) retain() bool {
	for {
		users := b.users.Load()
		if users == 0 {
			return false
		}
		if b.users.CompareAndSwap(users, users+1) {
			return true
		}
	}
}

// release lets go of the bell.
func (b *bell) release() {
	if b.users.Add(-1) == 0 {
		b.file.Close() // wakes serve, which frees the rest
	}
}

// bellOf is the bell of a bus or a pool, opened with the first who waits.
type bellOf struct {
	gather time.Duration
	mu     sync.Mutex
	bell   atomic.Pointer[bell]
	// gone: the owner let go. Who still waits then opens one of their own.
	gone bool
}

// get gives the bell, with one more user for the caller.
func (o *bellOf) get() (*bell, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if b := o.bell.Load(); b != nil && b.retain() {
		return b, nil
	}
	b, err := openBell(o.gather)
	if err != nil {
		return nil, err
	}
	if !o.gone {
		b.users.Add(1)
		o.bell.Store(b)
	}
	return b, nil
}

// open gives the bell if there is one.
func (o *bellOf) open() *bell { return o.bell.Load() }

// close lets go of the bell.
func (o *bellOf) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if b := o.bell.Swap(nil); b != nil {
		b.release()
	}
	o.gone = true
}
