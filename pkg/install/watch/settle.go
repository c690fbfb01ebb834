// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"log/slog"
	"time"

	"calico-cni/internal/deadline"
)

const (
	// minSettle and maxSettle bound the pause between attempts to settle queued releases.
	minSettle, maxSettle = 5 * time.Second, time.Minute
	// settleTimeout bounds one attempt. The watcher checks no files meanwhile.
	settleTimeout = 10 * time.Second
)

// Backlog is the node's queue of releases that wait for the API server.
type Backlog interface {
	// Len returns the number of queued releases.
	Len() (int, error)
	// Delayed reports whether this node waits after an outage, so that not all nodes settle at the same time.
	Delayed() bool
	// Settle settles some queued releases, and returns how many.
	Settle(ctx context.Context) (done int, err error)
}

// settler settles queued releases. CNI commands do so, too, but an idle node runs none. Readiness does not depend on
// queued releases: they are no fault of the installation.
type settler struct {
	backlog  Backlog
	throttle throttle
	metrics  *metrics
	notes    *Notes
	now      func() time.Time
	log      *slog.Logger
}

// attempt settles releases if an attempt is due. Without queued releases it reads local files only.
func (s *settler) attempt(ctx context.Context) {
	if s.backlog == nil {
		return
	}
	waiting, err := s.backlog.Len()
	s.metrics.setPending(waiting)
	now := s.now()
	if waiting == 0 || err != nil || s.backlog.Delayed() || s.throttle.wait(now) > 0 {
		return
	}
	ctx, cancel := deadline.Within(ctx, settleTimeout, "the settling of queued releases")
	defer cancel()
	done, err := s.backlog.Settle(ctx)
	if done == 0 {
		s.throttle.used(now)
	}
	if done > 0 {
		s.log.Info("queued releases are settled", "settled", done)
	}
	if err != nil {
		s.notes.Once("releases wait for the API server: " + err.Error())
	}
	if waiting, err = s.backlog.Len(); err == nil {
		s.metrics.setPending(waiting)
	}
}
