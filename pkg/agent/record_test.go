// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/agent/reconcile"
)

// status returns the status of a round: applied says that the routes were applied, faults are objects at fault.
func status(applied bool, faults ...error) reconcile.Status {
	return reconcile.Status{Inputs: true, Parts: []reconcile.Part{{
		Name: "routes", Applied: applied, Last: reconcile.Result{Faults: faults},
	}}}
}

func newRecord() (r *record, now *time.Time, log *bytes.Buffer) {
	now, log = new(time.Time), new(bytes.Buffer)
	*now = time.Unix(1e9, 0)
	r = &record{now: func() time.Time { return *now }, log: slog.New(slog.NewTextHandler(log, nil))}
	r.metrics = newMetrics([]string{"routes"}, r.ready)
	return r, now, log
}

func TestProblemIsLoggedOnceUntilItIsGone(t *testing.T) {
	r, _, log := newRecord()
	foreign := errors.New("route 10.0.0.0/26 is foreign")
	for _, s := range []reconcile.Status{status(true, foreign), status(true, foreign), status(true), status(true, foreign)} {
		r.begin()
		r.end(s, []string{"IPPool a: overlaps"})
	}
	if n := strings.Count(log.String(), "is foreign"); n != 2 {
		t.Errorf("the fault is logged %d times, want 2:\n%s", n, log)
	}
	if n := strings.Count(log.String(), "overlaps"); n != 1 {
		t.Errorf("the finding is logged %d times, want once:\n%s", n, log)
	}
	if n := value(t, r, "felix_int_dataplane_failures"); n != 3 {
		t.Errorf("%v failures are counted, want 3", n)
	}
}

func TestReadiness(t *testing.T) {
	r, _, _ := newRecord()
	r.begin()
	if changed := r.end(status(false), nil); changed || r.ready() {
		t.Error("ready although nothing was applied")
	}
	r.begin()
	if changed := r.end(status(true, errors.New("one object")), nil); !changed || !r.ready() {
		t.Error("not ready although the part was applied")
	}
	if got := strings.Join(r.problems(), "\n"); got != "routes: one object" {
		t.Error(got)
	}
}

func TestLivenessFailsDuringALongRound(t *testing.T) {
	r, now, _ := newRecord()
	r.begin()
	*now = now.Add(maxRound)
	if ok, _ := r.live(); !ok {
		t.Error("not alive too early")
	}
	*now = now.Add(time.Second)
	if ok, lines := r.live(); ok || len(lines) != 1 {
		t.Errorf("alive: %v", lines)
	}
	r.end(status(true), nil)
	*now = now.Add(time.Hour)
	if ok, _ := r.live(); !ok {
		t.Error("not alive between rounds")
	}
}

// TestLatencyIsThatOfTheFirstChange notes changes during a round: they count for the next one.
func TestLatencyIsThatOfTheFirstChange(t *testing.T) {
	r, now, _ := newRecord()
	r.noteChange()
	*now = now.Add(time.Second)
	r.noteChange()
	r.begin()
	r.noteChange()
	*now = now.Add(time.Second)
	r.end(status(true), nil)
	if got := latencySum(t, r); got != 2 {
		t.Errorf("latency is %v s, want 2", got)
	}
	r.begin()
	*now = now.Add(time.Second)
	r.end(status(true), nil)
	if got := latencySum(t, r); got != 4 {
		t.Errorf("sum of latencies is %v s, want 4", got)
	}
	// A round without a change, such as a resync, has no latency.
	r.begin()
	*now = now.Add(time.Hour)
	r.end(status(true), nil)
	if got := latencySum(t, r); got != 4 {
		t.Errorf("sum of latencies is %v s, want 4", got)
	}
}

func latencySum(t *testing.T, r *record) float64 {
	t.Helper()
	return value(t, r, "calico_node_event_to_kernel_seconds")
}

// value returns the value of a counter, or the sum of a histogram.
func value(t *testing.T, r *record, name string) float64 {
	t.Helper()
	families, err := r.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetHistogram().GetSampleSum()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
