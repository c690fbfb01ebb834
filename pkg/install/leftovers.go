package install

import (
	"context"
	"time"

	"calico-cni/internal/deadline"
)

// lastSettling bounds the attempt to settle releases before an uninstallation. A pod of the DaemonSet has ten seconds to end.
const lastSettling = 5 * time.Second

// settleReleases settles the releases that wait on the node, once and for a short while, and says how many still wait.
func (u *remover) settleReleases(ctx context.Context) {
	if u.deps.Backlog == nil {
		return
	}
	if err := directory(u.cfg.nodeFilesDir()); err != nil {
		u.deps.Log.Info("whether releases of addresses wait is not known: /var/lib/calico of the host is not mounted")
		return
	}
	waiting, err := u.deps.Backlog.Len()
	if waiting > 0 && !u.dry {
		var done int
		ctx, cancel := deadline.Within(ctx, lastSettling, "the last settling of queued releases")
		defer cancel()
		if done, err = u.deps.Backlog.Settle(ctx); done > 0 {
			u.deps.Log.Info("releases that had waited are settled", "settled", done)
		}
		if now, e := u.deps.Backlog.Len(); e == nil {
			waiting = now
		}
	}
	if waiting == 0 {
		return
	}
	reason := ""
	if err != nil {
		reason = " (" + err.Error() + ")"
	}
	u.leave("%d releases of addresses in %s, which wait for the API server%s: their addresses stay allocated until the plugins are installed "+
		"on this node again, or until they are released with calicoctl ipam release", waiting, u.cfg.KeepDir()+"/pending", reason)
}

// tellState names the directories that stay whatever is uninstalled.
func (u *remover) tellState() {
	const what = "state and logs of the plugins stay; remove them yourself once no pod of the node has an address of the plugins"
	if u.dry {
		u.print("%s: %s\n", what, stateDirs)
		return
	}
	u.deps.Log.Info(what, "directories", stateDirs)
}

// stateDirs are the plugins' directories on the host, which they share with Calico's node agent.
const stateDirs = "/var/lib/calico, /var/run/calico, /var/log/calico"
