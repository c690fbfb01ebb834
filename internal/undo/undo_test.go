// SPDX-License-Identifier: Apache-2.0

package undo_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"calico-cni/internal/undo"
)

var (
	errAdd   = errors.New("add")
	errFirst = errors.New("undo the first")
)

// add makes two steps and ends with err. ran receives the undone steps.
func add(ctx context.Context, end error, ran *[]string) (err error) {
	var steps undo.Stack
	defer func() { steps.OnError(ctx, &err) }()
	steps.Push(func(ctx context.Context) error {
		*ran = append(*ran, "first")
		return errors.Join(errFirst, ctx.Err())
	})
	steps.Push(func(ctx context.Context) error {
		*ran = append(*ran, "second")
		return ctx.Err()
	})
	return end
}

func TestSuccessUndoesNothing(t *testing.T) {
	var ran []string
	if err := add(t.Context(), nil, &ran); err != nil {
		t.Errorf("add: %v", err)
	}
	if ran != nil {
		t.Errorf("undone: %q", ran)
	}
}

func TestErrorUndoesAllNewestFirst(t *testing.T) {
	var ran []string
	err := add(t.Context(), errAdd, &ran)
	if diff := cmp.Diff([]string{"second", "first"}, ran); diff != "" {
		t.Errorf("undone (-want +got):\n%s", diff)
	}
	if !errors.Is(err, errAdd) || !errors.Is(err, errFirst) {
		t.Errorf("error %q lacks the error of the function or of the undo step", err)
	}
}

func TestFailingStepDoesNotStopOlderOnes(t *testing.T) {
	var ran []string
	var steps undo.Stack
	steps.Push(func(context.Context) error { ran = append(ran, "older"); return nil })
	steps.Push(func(context.Context) error { return errFirst })
	err := errAdd
	steps.OnError(t.Context(), &err)
	if diff := cmp.Diff([]string{"older"}, ran); diff != "" {
		t.Errorf("undone (-want +got):\n%s", diff)
	}
}

func TestUndoIgnoresCancellation(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var ran []string
	err := add(ctx, errAdd, &ran)
	if errors.Is(err, context.Canceled) {
		t.Errorf("a step saw the cancellation: %v", err)
	}
	if len(ran) != 2 {
		t.Errorf("undone: %q, want both", ran)
	}
}

func TestUndoStepsHaveDeadline(t *testing.T) {
	var steps undo.Stack
	bounded := false
	steps.Push(func(ctx context.Context) error { _, bounded = ctx.Deadline(); return nil })
	err := errAdd
	steps.OnError(t.Context(), &err)
	if !bounded {
		t.Error("the steps' context has no deadline")
	}
}

func TestHangingStepLeavesTimeForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left []bool
		err := func() (err error) {
			var steps undo.Stack
			defer func() { steps.OnError(t.Context(), &err) }()
			for range 2 {
				steps.Push(func(ctx context.Context) error {
					left = append(left, ctx.Err() == nil)
					<-ctx.Done()
					return ctx.Err()
				})
			}
			return errors.New("failed")
		}()
		if !slices.Equal(left, []bool{true, true}) || err == nil {
			t.Errorf("steps had time left: %v; %v", left, err)
		}
	})
}

func TestErrorContainsEachReasonOnce(t *testing.T) {
	refused := errors.New("API server unavailable: dial tcp 10.0.0.1:443: connect: connection refused")
	for _, c := range []struct {
		name  string
		cause error
		steps []error
		want  string
	}{
		{"the undo succeeds", refused, []error{nil}, refused.Error()},
		{"another reason", refused, []error{errors.New("remove link: busy")}, refused.Error() +
			"; undo: remove link: busy"},
		{"the same error", refused, []error{refused, refused}, refused.Error() + "; undo: same error"},
		{
			"the same reason", fmt.Errorf("create handle h: %w", refused),
			[]error{fmt.Errorf("delete handle h: %w", refused), nil},
			"create handle h: " + refused.Error() + "; undo: delete handle h: same error",
		},
		{
			"two steps, each its own reason", errors.New("a"),
			[]error{errors.New("x: b"), errors.New("y: b")},
			"a; undo: y: b; undo: x: same error",
		},
	} {
		var steps undo.Stack
		for _, err := range c.steps {
			steps.Push(func(context.Context) error { return err })
		}
		err := c.cause
		steps.OnError(t.Context(), &err)
		if diff := cmp.Diff(c.want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		for _, part := range append(c.steps, c.cause) {
			if part != nil && !errors.Is(err, part) {
				t.Errorf("%s: %v does not wrap %v", c.name, err, part)
			}
		}
	}
}
