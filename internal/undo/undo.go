// Package undo takes back the steps of a function that fails halfway.
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

// Grace is how long OnError gives each step, also when the caller's own time is up.
const Grace = 5 * time.Second

// Stack holds what takes back the steps made so far, the newest last. Its zero value is empty and ready.
type Stack []func(context.Context) error

// Push adds what takes back the step that was just made.
func (s *Stack) Push(step func(context.Context) error) {
	*s = append(*s, step)
}

// OnError runs every step, newest first, when *err is not nil, and adds the errors of the steps to it.
// A step that fails does not keep the older ones from running. The steps' context carries ctx's values,
// but neither its cancellation nor its deadline: each ends after a Grace of its own, so that one that hangs does not starve the others.
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

// failure is the error of a function whose undo failed, too.
type failure struct {
	cause error
	undo  []error
}

// Error names each reason once: mostly the undo meets what the function has met.
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

// Unwrap returns the errors of the function and of the steps.
func (f failure) Unwrap() []error { return append([]error{f.cause}, f.undo...) }

// withoutTail returns a message without the reasons at its end that another message gives already, and whether there are any.
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

// separator stands between what failed and why.
const separator = ": "

func run(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := deadline.Within(ctx, Grace, "a step of the undo")
	defer cancel()
	return step(ctx)
}
