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
	"errors"
	"time"
)

// Grace is how long OnError gives each step, also when the caller's own time is up.
const Grace = 5 * time.Second

// Stack holds what takes back the steps made so far, the newest last. Its zero value is empty and ready.
type Stack []func(context.Context) error

// Push adds what takes back the step that was just made.
func (s *Stack) Push(step func(context.Context) error) {
	*s = append(*s, step)
}

// OnError runs every step, newest first, when *err is not nil, and joins the errors of the steps to it.
// A step that fails does not keep the older ones from running. The steps' context carries ctx's values,
// but neither its cancellation nor its deadline: each ends after a Grace of its own, so that one that hangs does not starve the others.
func (s *Stack) OnError(ctx context.Context, err *error) {
	if *err == nil || len(*s) == 0 {
		return
	}
	for i := len(*s) - 1; i >= 0; i-- {
		*err = errors.Join(*err, run(context.WithoutCancel(ctx), (*s)[i]))
	}
}

func run(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, Grace)
	defer cancel()
	return step(ctx)
}
