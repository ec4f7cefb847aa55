package dropin

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	reqbus "github.com/reqbus/reqbus/bindings/go"
)

// ErrUnschedule takes a task off when its check returns it: there is nothing to be checked any more, or no way to.
var ErrUnschedule = errors.New("unschedule")

// Task is something that is checked again and again.
type Task struct {
	// ID names it.
	ID int64
	// Interval is the time from the beginning of one check to that of the next. 0 or less is no task.
	Interval time.Duration
	// Check checks it. Its ctx ends when the check is over its time, when the task is replaced or taken off, and when a stop
	// does not wait any longer. nil: there is no way to check it.
	Check func(ctx context.Context) error
	// IsDisabled: it is not to be checked.
	IsDisabled bool
}

// Runner checks each of its tasks at once and then at the task's own interval: a few at a time, no task twice at once. A
// check that fails, panics or hangs ends nothing but itself. A nil Runner does nothing.
type Runner struct {
	runner *reqbus.Runner
	load   func(context.Context) ([]Task, error)

	mu    sync.Mutex
	life  runnerLife
	tasks map[string]*scheduled
}

type runnerLife int

const (
	runnerNew runnerLife = iota
	runnerLoading
	runnerStarted
	runnerStopped
)

// scheduled is a task on the list.
type scheduled struct {
	task   Task
	next   time.Time
	cancel context.CancelFunc // of the check under way
}

// NewRunner makes a runner, which has not begun. load lists the tasks when it starts; nil: there are none. Of the options
// Every is how exactly intervals are kept.
func NewRunner(load func(context.Context) ([]Task, error), options reqbus.RunnerOptions) (*Runner, error) {
	r := &Runner{load: load, tasks: make(map[string]*scheduled)}
	var err error
	r.runner, err = reqbus.NewRunner(r.due, r.check, options)
	return r, err
}

// Start loads the tasks and begins. Twice is once, also while the first loads; after a stop it does nothing. The error is
// that of load, and then it has not begun.
func (r *Runner) Start(ctx context.Context) error {
	if r == nil || !r.enter(runnerNew, runnerLoading) {
		return nil
	}
	// The host's function, which may take its time, and use the runner: not under the lock.
	var tasks []Task
	if r.load != nil {
		var err error
		if tasks, err = r.load(ctx); err != nil {
			r.enter(runnerLoading, runnerNew)
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life != runnerLoading {
		return nil // it was stopped meanwhile
	}
	for _, task := range tasks {
		r.put(task)
	}
	r.life = runnerStarted
	return r.runner.Start()
}

// enter goes from one stage of life to another, if it is at the first.
func (r *Runner) enter(from, to runnerLife) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life != from {
		return false
	}
	r.life = to
	return true
}

// Schedule puts a task on the list, in place of the one of its id, and it is checked at once. If a check of that one is under
// way, it is cancelled, and the first round after its return checks the new one. A task that is disabled or cannot be
// checked is taken off instead, and one without an interval is passed over. Whether it is on the list now; before the start
// and after a stop none is.
func (r *Runner) Schedule(task Task) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	isOn := r.life == runnerStarted && r.put(task)
	r.mu.Unlock()
	if isOn {
		r.runner.RoundNow()
	}
	return isOn
}

// put is Schedule under the lock.
func (r *Runner) put(task Task) bool {
	id := strconv.FormatInt(task.ID, 10)
	if task.IsDisabled || task.Check == nil {
		r.take(id)
		return false
	}
	if task.Interval <= 0 {
		return false
	}
	r.take(id)
	r.tasks[id] = &scheduled{task: task, next: time.Now()}
	return true
}

// take takes a task off, under the lock.
func (r *Runner) take(id string) {
	if old := r.tasks[id]; old != nil {
		delete(r.tasks, id)
		if old.cancel != nil {
			old.cancel()
		}
	}
}

// Unschedule takes a task off; its check under way is cancelled.
func (r *Runner) Unschedule(id int64) {
	if r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.take(strconv.FormatInt(id, 10))
	}
}

// Len is how many tasks are on the list.
func (r *Runner) Len() int {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.tasks)
}

// due lists the tasks whose time has come.
func (r *Runner) due(context.Context) ([]reqbus.Due, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	var due []reqbus.Due
	for id, s := range r.tasks {
		if overdue := now.Sub(s.next); overdue >= 0 {
			due = append(due, reqbus.Due{ID: id, Overdue: overdue})
		}
	}
	return due, nil
}

func (r *Runner) check(ctx context.Context, id string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.mu.Lock()
	s := r.tasks[id]
	if s == nil {
		r.mu.Unlock()
		return nil // it was taken off meanwhile
	}
	s.cancel = cancel
	s.next = time.Now().Add(s.task.Interval)
	r.mu.Unlock()
	err := s.task.Check(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	s.cancel = nil
	if r.tasks[id] == s && errors.Is(err, ErrUnschedule) {
		delete(r.tasks, id)
	}
	return err
}

// Stop ends the runner: checks under way are waited for. When ctx ends first they are cancelled, and those that have not
// returned by then are named, with an error. Twice is fine.
func (r *Runner) Stop(ctx context.Context) ([]reqbus.Flight, error) {
	if r == nil {
		return nil, nil
	}
	r.mu.Lock()
	r.life = runnerStopped
	clear(r.tasks)
	r.mu.Unlock()
	return r.runner.Stop(ctx)
}

// Runner is the one underneath: pause, statistics, what is in flight.
func (r *Runner) Runner() *reqbus.Runner {
	if r == nil {
		return nil
	}
	return r.runner
}
