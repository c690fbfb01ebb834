// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"calico-cni/pkg/agent/reconcile"
	"calico-cni/pkg/model"
)

// maxRound is the time after which a round that does not end makes the agent not alive.
const maxRound = 90 * time.Second

// record is what the agent knows about its rounds. It logs what is new, and feeds the metrics.
type record struct {
	metrics *metrics
	now     func() time.Time
	log     *slog.Logger

	mu     sync.Mutex
	status reconcile.Status
	// logged are the lines of the last round, which are in the log.
	logged map[string]bool
	// ownFindings are those of the keeper.
	ownFindings []string
	// started is the start of the round that is running; it is zero between rounds.
	started time.Time
	// pending is the time of the first change that no round has seen yet, and covered that of the running round.
	pending, covered time.Time
}

// noteChange notes the time of a change that a round has to see.
func (r *record) noteChange() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending.IsZero() {
		r.pending = r.now()
	}
}

// begin notes that a round begins.
func (r *record) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started, r.covered, r.pending = r.now(), r.pending, time.Time{}
}

// end notes the result of the round. findings are those of the desired state. It reports whether readiness has changed.
func (r *record) end(s reconcile.Status, findings []string) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed = s.Ready() != r.status.Ready()
	if changed && s.Ready() {
		r.log.Info("the network of the node is in force")
	}
	now, since := r.now(), time.Duration(0)
	if !r.covered.IsZero() {
		since = now.Sub(r.covered)
	}
	r.metrics.round(s, now.Sub(r.started), since)
	r.metrics.findings.Set(float64(len(findings) + len(r.ownFindings)))
	r.status, r.started = s, time.Time{}
	lines := map[string]bool{}
	for _, line := range slices.Concat(s.Faults(), findings) {
		lines[line] = true
		if !r.logged[line] {
			r.log.Warn(line)
		}
	}
	r.logged = lines
	return changed
}

// setOwnFindings stores the findings of the keeper, and logs what is new.
func (r *record) setOwnFindings(findings []model.Finding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for _, f := range findings {
		lines = append(lines, f.String())
		if !slices.Contains(r.ownFindings, f.String()) {
			r.log.Warn(f.String())
		}
	}
	r.ownFindings = lines
}

// ready reports whether the network of the node is in force.
func (r *record) ready() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status.Ready()
}

// problems returns what is not in force, and the findings of the keeper.
func (r *record) problems() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat(r.status.Faults(), r.status.Waiting(), r.ownFindings)
}

// live is the liveness check.
func (r *record) live() (ok bool, lines []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if since := r.now().Sub(r.started); !r.started.IsZero() && since > maxRound {
		return false, []string{fmt.Sprintf("a round has been running for %s", since.Round(time.Second))}
	}
	return true, nil
}
