// SPDX-License-Identifier: Apache-2.0

// Package undo reverts the completed steps of a function that fails halfway.
//
//	func add(ctx context.Context) (err error) {
//		var steps undo.Stack
//		defer func() { steps.OnError(ctx, &err) }()
//		if err := create(); err != nil {
//			return err
//		}
//		steps.Push(remove)
//		return configure()
//	}
package undo

import (
	"context"
	"strings"
	"time"

	"calico-cni/internal/deadline"
)

// Grace is the time limit of each undo step. It applies even if the caller's deadline has passed.
const Grace = 5 * time.Second

// Stack holds the undo of each completed step, the newest last. Its zero value is ready to use.
type Stack []func(context.Context) error

// Push adds the undo of a step that has just been completed.
func (s *Stack) Push(step func(context.Context) error) {
	*s = append(*s, step)
}

// OnError runs every undo step, newest first, if *err is not nil, and adds their errors to it. A failing step does not
// prevent the older ones. The context of a step has the values of ctx, but not its cancellation or deadline. Each step
// has its own Grace, so that a hanging step does not use up the time of the others.
func (s *Stack) OnError(ctx context.Context, err *error) {
	if *err == nil || len(*s) == 0 {
		return
	}
	f := failure{cause: *err}
	for i := len(*s) - 1; i >= 0; i-- {
		if failed := run(context.WithoutCancel(ctx), (*s)[i]); failed != nil {
			f.undo = append(f.undo, failed)
		}
	}
	if f.undo != nil {
		*err = f
	}
}

// failure is the error of a function whose undo failed as well.
type failure struct {
	cause error
	undo  []error
}

// Error names each reason once, because the undo often fails for the same reason as the function.
func (f failure) Error() string {
	text := f.cause.Error()
	for _, err := range f.undo {
		what, same := withoutTail(err.Error(), text)
		switch {
		case !same:
			text += "; undo: " + what
		case what != "" && !strings.Contains(text, what+": same error"):
			text += "; undo: " + what + ": same error"
		case what == "" && !strings.Contains(text, "; undo: same error"):
			text += "; undo: same error"
		}
	}
	return text
}

// Unwrap returns the errors of the function and of the undo steps.
func (f failure) Unwrap() []error { return append([]error{f.cause}, f.undo...) }

// withoutTail returns a message without the reasons at its end that another message already contains, and whether there
// are any.
func withoutTail(text, other string) (what string, same bool) {
	for rest, before := text, ""; ; {
		if strings.Contains(other, rest) {
			return strings.TrimSuffix(before, separator), true
		}
		head, tail, more := strings.Cut(rest, separator)
		if !more {
			return text, false
		}
		before, rest = before+head+separator, tail
	}
}

// separator separates the failed action from the reason.
const separator = ": "

func run(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := deadline.Within(ctx, Grace, "a step of the undo")
	defer cancel()
	return step(ctx)
}
