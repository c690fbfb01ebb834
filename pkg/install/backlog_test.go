// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/internal/nodestate"
)

// queue is a backlog of releases, of which each attempt settles up to a number.
type queue struct {
	waiting, settles, attempts int
	err                        error
}

func (q *queue) Delayed() bool { return false }

func (q *queue) Len() (int, error) { return q.waiting, nil }

func (q *queue) Settle(context.Context) (int, error) {
	q.attempts++
	done := min(q.waiting, q.settles)
	q.waiting -= done
	return done, q.err
}

func TestWatchSettlesQueuedReleases(t *testing.T) {
	q := &queue{waiting: 5, settles: 2}
	w := newWatched(t, func(h *host) { h.backlog = q })
	w.Settle(t.Context())
	if q.attempts != 0 {
		t.Error("settled before the installation")
	}
	w.look()
	for range 5 {
		w.Settle(t.Context())
	}
	if q.attempts != 3 || q.waiting != 0 {
		t.Errorf("after %d attempts %d releases are queued; want 3 and none", q.attempts, q.waiting)
	}
}

// TestWatchRetriesQueuedReleasesOncePerMinuteAndStaysReady simulates releases that cannot be settled for an hour.
func TestWatchRetriesQueuedReleasesOncePerMinuteAndStaysReady(t *testing.T) {
	q := &queue{waiting: 5, err: errors.New("API server unavailable")}
	w := newWatched(t, func(h *host) { h.backlog = q })
	for start, step := w.clock, pace(5*time.Second, 3); w.clock.Before(start.Add(time.Hour)); {
		w.clock = w.clock.Add(step)
		w.look()
		w.Settle(t.Context())
	}
	logged := strings.Count(w.log.String(), "API server unavailable")
	if q.attempts < 60 || q.attempts > 124 || logged != 1 {
		t.Errorf("%d attempts in an hour, logged %d times", q.attempts, logged)
	}
	if _, body := w.get("/metrics"); !strings.Contains(body, "calico_cni_install_pending_releases 5\n") {
		t.Error(body)
	}
}

func TestWatchChecksTheTokenAfterAPluginReportsARefusal(t *testing.T) {
	w := newWatched(t)
	w.look()
	w.look()
	dir := nodestate.Conditions(w.cfg.Layout().ConditionsDir())
	tell := func(r nodestate.Condition) {
		if err := dir.Store("net", r); err != nil {
			t.Fatal(err)
		}
		// The watcher's clock is ahead of the kernel's.
		if err := os.Chtimes(string(dir)+"/net.json", w.clock, w.clock); err != nil {
			t.Fatal(err)
		}
	}
	w.authority.refuses = true
	w.clock = w.clock.Add(time.Second)
	tell(nodestate.Condition{Kind: nodestate.ConditionAPI, Reason: "connection refused"})
	w.look()
	if w.authority.issued != 1 {
		t.Fatal("an outage counts as a refusal")
	}
	tell(nodestate.Condition{Kind: nodestate.ConditionAPI, Reason: "credentials refused", Refused: true})
	w.look()
	if w.authority.issued != 2 {
		t.Error("the token is not renewed")
	}
	w.clock = w.clock.Add(time.Second)
	w.look()
	w.authority.refuses = true
	w.look()
	if w.authority.issued != 2 {
		t.Error("the watcher sends a request again after an old refusal")
	}
}

func TestFailedRepairIsNotCounted(t *testing.T) {
	w := newWatched(t)
	w.look()
	binary := w.path("host/opt/cni/bin/calico")
	if err := errors.Join(os.Remove(binary), os.Mkdir(binary, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0", "1"} {
		err := w.Round(t.Context())
		if (err == nil) != (want == "1") {
			t.Fatalf("round = %v; want %s repairs", err, want)
		}
		_, got := w.get("/metrics")
		if !strings.Contains(got, `repairs_total{part="binaries"} `+want+"\n") {
			t.Errorf("after %v: want %s repairs of the binaries in\n%s", err, want, got)
		}
		_ = os.Remove(binary)
		w.clock = w.clock.Add(time.Minute)
	}
}

func TestMetrics(t *testing.T) {
	ofVersion(t, `v1 "with" \ and`+"\n")
	w := newWatched(t)
	w.look()
	w.authority.fails = errors.New("no")
	w.clock = w.clock.Add(7 * time.Hour)
	w.look()
	if err := os.Remove(w.path("host/opt/cni/bin/calico")); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.Report(nil)
	_, got := w.get("/metrics")
	const want = `# HELP calico_cni_install_build_info Version of the installer.
# TYPE calico_cni_install_build_info gauge
calico_cni_install_build_info{version="v1 \"with\" \\ and\n"} 1
# HELP calico_cni_install_pending_releases Queued releases of addresses that wait for the API server.
# TYPE calico_cni_install_pending_releases gauge
calico_cni_install_pending_releases 0
# HELP calico_cni_install_ready Whether the host is in the desired state.
# TYPE calico_cni_install_ready gauge
calico_cni_install_ready 1
# HELP calico_cni_install_repairs_total Repairs of files that another program changed.
# TYPE calico_cni_install_repairs_total counter
calico_cni_install_repairs_total{part="binaries"} 1
calico_cni_install_repairs_total{part="kubeconfig"} 0
calico_cni_install_repairs_total{part="network configuration"} 0
calico_cni_install_repairs_total{part="node files"} 0
calico_cni_install_repairs_total{part="old network configuration"} 0
calico_cni_install_repairs_total{part="other network configurations"} 0
# HELP calico_cni_install_token_expiry_timestamp_seconds Expiry of the plugins' token; 0 before the first token.
# TYPE calico_cni_install_token_expiry_timestamp_seconds gauge
calico_cni_install_token_expiry_timestamp_seconds 2.0828448e+09
# HELP calico_cni_install_token_renewals_total Requests for a token.
# TYPE calico_cni_install_token_renewals_total counter
calico_cni_install_token_renewals_total{result="failure"} 1
calico_cni_install_token_renewals_total{result="success"} 1
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
