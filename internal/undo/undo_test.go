package undo_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"calico-cni/internal/undo"
)

var (
	errAdd   = errors.New("add")
	errFirst = errors.New("take back the first")
)

// add makes two steps and ends with err; ran receives what was taken back.
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

func TestSuccessTakesNothingBack(t *testing.T) {
	var ran []string
	if err := add(t.Context(), nil, &ran); err != nil {
		t.Errorf("add: %v", err)
	}
	if ran != nil {
		t.Errorf("taken back: %q", ran)
	}
}

func TestErrorTakesAllBackNewestFirst(t *testing.T) {
	var ran []string
	err := add(t.Context(), errAdd, &ran)
	if diff := cmp.Diff([]string{"second", "first"}, ran); diff != "" {
		t.Errorf("taken back (-want +got):\n%s", diff)
	}
	if !errors.Is(err, errAdd) || !errors.Is(err, errFirst) {
		t.Errorf("error %q lacks that of the function or that of the step", err)
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
		t.Errorf("taken back (-want +got):\n%s", diff)
	}
}

func TestStepsOutliveCancellation(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var ran []string
	err := add(ctx, errAdd, &ran)
	if errors.Is(err, context.Canceled) {
		t.Errorf("a step saw the cancellation: %v", err)
	}
	if len(ran) != 2 {
		t.Errorf("taken back: %q, want both", ran)
	}
}

func TestStepsHaveADeadline(t *testing.T) {
	var steps undo.Stack
	bounded := false
	steps.Push(func(ctx context.Context) error { _, bounded = ctx.Deadline(); return nil })
	err := errAdd
	steps.OnError(t.Context(), &err)
	if !bounded {
		t.Error("the steps' context has no deadline")
	}
}

func TestAStepThatHangsLeavesTheOlderOnesTheirTime(t *testing.T) {
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
