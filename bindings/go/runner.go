//go:build cgo

package reqbus

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// Runner checks many things again and again, a few at a time: every 5 s it asks the host what is due, and runs at most 5
// checks at once, never two of one id. The longest overdue come first. What finds no room, or is still being checked, is
// counted, and due again in the next round. A check that fails, panics or hangs ends neither the round nor the runner.
//
// It has one goroutine from [Runner.Start] on, and one for each check while that runs. Stop it: one that was started goes
// on though nobody has it any more. A nil Runner does nothing.
type Runner struct {
	admission *Admission
	due       func(context.Context) ([]Due, error)
	check     func(ctx context.Context, id string) error
	onError   func(id string, err error)
	first     time.Duration
	now       chan struct{} // a round is asked for

	asking context.Context // ends with the stop
	stop   context.CancelFunc
	// checking ends when a stop will not wait any longer.
	checking context.Context
	cancel   context.CancelCauseFunc

	mu      sync.Mutex
	life    runnerLife
	working int           // goroutines
	ended   chan struct{} // closed when it is stopped and none is left
}

type runnerLife int

const (
	runnerNew runnerLife = iota
	runnerStarted
	runnerStopped
)

// PanicError is what a check, or the function that says what is due, panicked with.
type PanicError struct {
	// Value is what it panicked with; nil if it ended its goroutine instead.
	Value any
	// Stack is that of the goroutine, as of debug.Stack.
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprint("reqbus: panicked: ", e.Value) }

// NewRunner makes a runner, which has not begun: [Runner.Start]. due says what is due; its ctx ends with the stop. check
// checks one item, and returns why it is not well. Its ctx ends when the check is over its time, or when a stop does not
// wait for it any longer; its id stays in flight until it returns.
func NewRunner(
	due func(ctx context.Context) ([]Due, error), check func(ctx context.Context, id string) error, options RunnerOptions,
) (*Runner, error) {
	if due == nil || check == nil {
		return nil, &Error{Kind: KindInvalidArgument, Context: "runner", Message: "it needs both functions"}
	}
	admission, err := NewAdmission(options)
	if err != nil {
		return nil, err
	}
	r := &Runner{
		admission: admission, due: due, check: check, onError: options.OnError, first: admission.UntilNextRound(),
		now: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	r.asking, r.stop = context.WithCancel(context.Background())
	r.checking, r.cancel = context.WithCancelCause(context.Background())
	return r, nil
}

// Start begins. Twice is once; after a stop it is [ErrClosed].
func (r *Runner) Start() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.life {
	case runnerStopped:
		return closed("runner")
	case runnerNew:
		r.life = runnerStarted
		r.working++
		go r.ask(r.first)
	}
	return nil
}

// ask is the goroutine that asks what is due.
func (r *Runner) ask(first time.Duration) {
	defer func() {
		if r.asking.Err() == nil {
			// The host's function ended the goroutine: another one goes on.
			go r.ask(r.admission.UntilNextRound())
			return
		}
		r.leave()
	}()
	for wait := first; r.sleep(wait); wait = r.admission.UntilNextRound() {
		r.round()
	}
}

// sleep waits for the next round: false if it was stopped.
func (r *Runner) sleep(wait time.Duration) bool {
	if wait <= 0 {
		return r.asking.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.now:
	case <-r.asking.Done():
		return false
	}
	return true
}

func (r *Runner) round() {
	if r.admission.IsPaused() {
		r.admission.Admit(nil, 0) // counts it
		return
	}
	hasReturned := false
	defer func() {
		if !hasReturned {
			r.failRound(&PanicError{recover(), debug.Stack()})
		}
	}()
	due, err := r.due(r.asking)
	hasReturned = true
	var permits []*Permit
	if err == nil {
		permits, err = r.admission.Admit(due, len(due))
	}
	if err != nil {
		r.failRound(err)
		return
	}
	r.mu.Lock()
	r.working += len(permits)
	r.mu.Unlock()
	for _, permit := range permits {
		go r.run(permit)
	}
}

// failRound is for a round in which nothing can be checked: the host did not say what is due, or a name of it is wrong.
func (r *Runner) failRound(err error) {
	if r.asking.Err() == nil {
		r.admission.FailRound()
		r.tell("", err)
	}
}

// run is the goroutine of a check.
func (r *Runner) run(permit *Permit) {
	defer r.leave()
	ctx, cancel := context.WithTimeout(r.checking, permit.TimeLeft())
	defer cancel()
	verdict := CheckPanicked
	defer func() {
		if verdict == CheckPanicked {
			r.tell(permit.ID(), &PanicError{recover(), debug.Stack()})
		}
		permit.Finish(verdict)
	}()
	err := r.check(ctx, permit.ID())
	verdict = Succeeded
	if err != nil {
		verdict = CheckFailed
		r.tell(permit.ID(), err)
	}
}

func (r *Runner) tell(id string, err error) {
	if r.onError != nil {
		r.onError(id, err)
	}
}

// leave is the end of a goroutine. Only after a stop there is none left.
func (r *Runner) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.working--; r.working == 0 {
		close(r.ended)
	}
}

// Stop ends the runner: no check begins any more, and those under way are waited for. When ctx ends first, their own
// contexts end, and it returns those that have not returned by then, oldest first, with an error that is ctx's own too;
// they may be waited for by another Stop. Twice is fine. A check that stops its own runner waits for itself: it calls Close.
func (r *Runner) Stop(ctx context.Context) (left []Flight, err error) {
	if r == nil {
		return nil, nil
	}
	r.end()
	select {
	case <-r.ended:
		return nil, nil
	case <-ctx.Done():
	}
	r.cancel(closed("runner"))
	left = r.InFlight()
	select {
	case <-r.ended:
		return nil, nil
	default:
	}
	return left, &Error{
		Kind: KindTimeout, Context: "runner", Message: "not all that is under way has ended", cause: context.Cause(ctx),
	}
}

// end is a stop that waits for nobody.
func (r *Runner) end() {
	r.admission.Stop()
	r.stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life == runnerNew {
		close(r.ended)
	}
	r.life = runnerStopped
}

// Close is a [Runner.Stop] that waits for nobody: the contexts of the checks under way end now. Idempotent.
func (r *Runner) Close() error {
	if r != nil {
		r.end()
		r.cancel(closed("runner"))
	}
	return nil
}

// RoundNow begins a round now, and leaves the next where it was. Many calls at once are one.
func (r *Runner) RoundNow() {
	if r == nil {
		return
	}
	select {
	case r.now <- struct{}{}:
	default:
	}
}

// Pause pauses, or goes on: rounds are passed over, the host is not asked what is due, and what is in flight goes on.
func (r *Runner) Pause(paused bool) {
	if r != nil {
		r.admission.Pause(paused)
	}
}

// IsPaused says whether it is paused.
func (r *Runner) IsPaused() bool { return r != nil && r.admission.IsPaused() }

// InFlight lists the checks under way, oldest first.
func (r *Runner) InFlight() []Flight {
	if r == nil {
		return nil
	}
	return r.admission.InFlight()
}

// Stats is what was counted.
func (r *Runner) Stats() RunnerStats {
	if r == nil {
		return RunnerStats{}
	}
	return r.admission.Stats()
}
