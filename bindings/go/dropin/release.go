package dropin

import (
	"context"
	"sync"
)

// WrapReleaseOnDone makes a release function that runs once: by call or by the end of ctx, whichever is first. Without a
// goroutine. nil gives nil.
func WrapReleaseOnDone(ctx context.Context, release func()) func() {
	if release == nil {
		return nil
	}
	var once sync.Once
	run := func() { once.Do(release) }
	stop := context.AfterFunc(ctx, run)
	return func() {
		stop()
		run()
	}
}

// ReleaseSet holds what a request must give back: when its client goes away, unless it was handed on before, and then when
// the work is done.
type ReleaseSet struct {
	mu       sync.Mutex
	releases []func()
	state    releaseState
	stop     func() bool
}

type releaseState int

const (
	owned releaseState = iota
	transferred
	released
)

// NewReleaseSet ties a set to ctx, the client's.
func NewReleaseSet(ctx context.Context) *ReleaseSet {
	s := &ReleaseSet{}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = context.AfterFunc(ctx, s.reclaim)
	return s
}

// Add adds a release function: true if it will run later. After the release, and after a transfer, it is refused, and runs
// at once: nobody would run it later. nil is nothing.
func (s *ReleaseSet) Add(release func()) bool {
	if release == nil {
		return false
	}
	s.mu.Lock()
	if s.state == owned {
		s.releases = append(s.releases, release)
		s.mu.Unlock()
		return true
	}
	s.mu.Unlock()
	release()
	return false
}

// Transfer hands everything on: from now on the end of the client's context releases nothing, and the function that it
// returns does, once. A second call, or one after the release, says false.
func (s *ReleaseSet) Transfer() (release func(), isTransferred bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != owned {
		return nil, false
	}
	s.state = transferred
	s.stop()
	releases := s.releases
	s.releases = nil
	var once sync.Once
	return func() { once.Do(func() { runAll(releases) }) }, true
}

// Detach unties the set from the client's context; [ReleaseSet.Release] then releases it. false if that came too late.
func (s *ReleaseSet) Detach() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == owned && s.stop()
}

// Release gives back what was not handed on, in reverse. Idempotent.
func (s *ReleaseSet) Release() {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.reclaim()
}

func (s *ReleaseSet) reclaim() {
	s.mu.Lock()
	var releases []func()
	if s.state == owned {
		s.state = released
		releases, s.releases = s.releases, nil
	}
	s.mu.Unlock()
	runAll(releases)
}

func runAll(releases []func()) {
	for at := len(releases) - 1; at >= 0; at-- {
		releases[at]()
	}
}
