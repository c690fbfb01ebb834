// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"calico-cni/pkg/agent/kernel"
)

// change is a change whose object is the part before the colon.
type change string

func (c change) String() string { return string(c) }
func (c change) Object() string { object, _, _ := strings.Cut(string(c), ":"); return object }

func TestFaultOfOneObjectDoesNotHoldOthers(t *testing.T) {
	var made []string
	plan := kernel.Plan[change]{Changes: []change{"a:1", "b:1", "a:2", "c:1"}, Waiting: []string{"w"}}
	report := kernel.Execute(context.Background(), plan, func(c change) error {
		if c == "a:1" {
			return unix.EPERM
		}
		made = append(made, string(c))
		return nil
	})
	if want := []string{"b:1", "c:1"}; !slices.Equal(made, want) || report.Writes != 2 || report.Err != nil {
		t.Errorf("changes %v, report %+v; want %v", made, report, want)
	}
	if len(report.Faults) != 1 || !strings.Contains(report.Faults[0].Error(), "a:1: operation not permitted: run the") {
		t.Errorf("faults %v", report.Faults)
	}
	if !slices.Equal(report.Waiting, plan.Waiting) {
		t.Errorf("waiting %v", report.Waiting)
	}
}

func TestExecuteStopsWhenContextIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	report := kernel.Execute(ctx, kernel.Plan[change]{Changes: []change{"a", "b", "c"}}, func(c change) error {
		if c == "b" {
			cancel()
		}
		return nil
	})
	if report.Writes != 2 || !errors.Is(report.Err, context.Canceled) {
		t.Errorf("report %+v, want two writes and the end of the context", report)
	}
}

func TestCacheRunsDriverOnlyIfNeeded(t *testing.T) {
	runs, result := 0, kernel.Report{Writes: 1, Waiting: []string{"w"}}
	c := kernel.NewCache(func(context.Context, int) kernel.Report { runs++; return result }, func(a, b int) bool { return a == b })
	fault := kernel.Report{Faults: []error{errors.New("x")}}
	for i, step := range []struct {
		desired int
		refresh bool
		result  kernel.Report
		want    int
	}{
		{1, false, result, 1},
		{1, false, result, 1},
		{2, false, result, 2},
		{2, true, result, 3},
		{2, false, result, 3},
		{3, false, fault, 4},
		{3, false, result, 5},
		{3, false, result, 5},
		{4, false, kernel.Report{Err: errors.New("x")}, 6},
		{4, false, result, 7},
	} {
		result = step.result
		if step.refresh {
			c.Refresh()
		}
		before := runs
		report := c.Apply(context.Background(), step.desired)
		if runs != step.want {
			t.Fatalf("step %d: %d runs, want %d", i, runs, step.want)
		}
		if wrote := 1; runs == before && (report.Writes != 0 || fmt.Sprint(report.Waiting) != "[w]") {
			t.Errorf("step %d: a skipped run reports %+v, want no write instead of %d", i, report, wrote)
		}
	}
}
