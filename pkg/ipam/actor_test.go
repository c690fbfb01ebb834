// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"errors"
	"fmt"
)

// actor is one process. It runs a sequence of operations, and may be killed at each of its calls.
type actor struct {
	w       *world
	name    string
	run     func(*actor)
	resume  chan verdict
	parked  chan step
	pending step
	crashed bool
	// busy says that an operation is running; cut, that its remaining requests fail.
	busy, cut bool
}

// step is the next call of an actor. The zero value says that the actor has ended.
type step struct {
	what string
	key  any
	// write says that the step is a write to the store.
	write bool
}

var begin = step{what: "begin"}

func (s step) String() string {
	if s.key == nil {
		return s.what
	}
	return fmt.Sprintf("%s %v", s.what, s.key)
}

// verdict is the outcome of a call.
type verdict int

const (
	proceed verdict = iota
	killBefore
	killAfter
	// twice makes a write twice and returns the second answer, like a transport that repeats a request.
	twice
	// lost makes a write and returns an error, like a connection that breaks before the answer.
	lost
	// late returns an error, and the write takes effect at any later time, because the server has already received it.
	late
	// refused returns an error, and the write takes no effect.
	refused
)

func (v verdict) String() string {
	return [...]string{
		"", "killed before it", "killed after it", "made twice", "answer lost", "takes effect later", "refused",
	}[v]
}

var (
	// errCrashed is the result of each call after the process was killed.
	errCrashed = errors.New("crashed")
	// errLost is the error of a request whose effect is unknown.
	errLost = errors.New("no answer")
)

// call makes one call of an actor when the scheduler chooses it.
func (a *actor) call(s step, f func() error) error {
	if a.crashed {
		return errCrashed
	}
	a.parked <- s
	v := <-a.resume
	if a.cut {
		return errLost
	}
	switch v {
	case killBefore:
		a.crashed = true
		return errCrashed
	case killAfter:
		a.crashed = true
		_ = f()
		return errCrashed
	case twice:
		_ = f()
	case lost:
		_ = f()
		return errLost
	case late:
		a.w.completeLater(s, f)
		return errLost
	case refused:
		return errLost
	}
	return f()
}
