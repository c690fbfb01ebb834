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
	// settleTimeout bounds one attempt, during which no files are checked.
	settleTimeout = 10 * time.Second
)

// Backlog is the node's queue of releases that wait for the API server.
type Backlog interface {
	// Len returns their number.
	Len() (int, error)
	// Delayed reports whether this node waits after an outage, so that not all nodes settle at the same time.
	Delayed() bool
	// Settle settles some, and returns how many.
	Settle(ctx context.Context) (done int, err error)
}

// settler settles queued releases. CNI commands do so, too, but a quiet node has none. Queued releases are no fault
// of the installation: readiness does not depend on them.
type settler struct {
	backlog  Backlog
	throttle throttle
	metrics  *metrics
	notes    *Notes
	now      func() time.Time
	log      *slog.Logger
}

// settle makes an attempt if one is due. Without queued releases it reads local files only.
func (s *settler) settle(ctx context.Context) {
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
		s.log.Info("releases that had waited are settled", "settled", done)
	}
	if err != nil {
		s.notes.Once("releases wait for the API server: " + err.Error())
	}
	if waiting, err = s.backlog.Len(); err == nil {
		s.metrics.setPending(waiting)
	}
}
