package install

import (
	"context"
	"time"

	"calico-cni/internal/deadline"
)

const (
	// settleAfter and settleAtMost space attempts to settle releases that wait.
	settleAfter, settleAtMost = 5 * time.Second, time.Minute
	// settlePatience is how long one attempt may keep the watcher from looking at files.
	settlePatience = 10 * time.Second
)

// settle settles releases that wait on the node. Commands of the runtime do that too; but on a node where nothing happens
// there are none. That some wait is no fault of the installation: readiness does not tell of it. As long as none waits, or
// settling is delayed, this looks at local files only.
func (w *watcher) settle(ctx context.Context) {
	if w.deps.Backlog == nil || !w.installed {
		return
	}
	waiting, err := w.deps.Backlog.Len()
	w.metrics.pending(waiting)
	now := w.deps.Now()
	if waiting == 0 || err != nil || w.deps.Backlog.Delayed() || w.settling.wait(now) > 0 {
		return
	}
	ctx, cancel := deadline.Within(ctx, settlePatience, "the settling of queued releases")
	defer cancel()
	done, err := w.deps.Backlog.Settle(ctx)
	if done == 0 {
		w.settling.used(now)
	}
	if done > 0 {
		w.deps.Log.Info("releases that had waited are settled", "settled", done)
	}
	if err != nil {
		w.note("releases wait for the API server: " + err.Error())
	}
	if waiting, err = w.deps.Backlog.Len(); err == nil {
		w.metrics.pending(waiting)
	}
}
