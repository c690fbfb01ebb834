// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/hostfile"
	"calico-cni/pkg/install/network"
	"calico-cni/pkg/install/record"
)

// uninstall removes the recorded files that have not changed: network configuration, kubeconfig, binaries, node
// files, in this order. While a configuration uses the plugins, they and the kubeconfig stay. An error wraps
// fault.ErrDiffers if something was left, and names what.
func uninstall(ctx context.Context, n *node) error {
	if err := n.checkMount(); err != nil {
		return err
	}
	switch _, err := record.Load(n.record.Path()); {
	case errors.Is(err, record.ErrNewer):
		return fmt.Errorf("uninstall: %w; uninstall with that version", err)
	case errors.Is(err, safeopen.ErrNotRegular):
		return fmt.Errorf("uninstall: read record: %w", err)
	}
	n.record.Load()
	r := n.remover(n.cfg.DryRun)
	// This needs the kubeconfig and the API group.
	n.useInstalledGroup()
	settleReleases(ctx, n, r)
	if err := remove(n, r); err != nil {
		return fmt.Errorf("uninstall: %w%s", err, fault.Remedy(err))
	}
	reportStateDirs(n, r)
	if left := r.Left(); len(left) > 0 {
		return fmt.Errorf("%w: left %s", fault.ErrDiffers, strings.Join(left, "; left "))
	}
	return nil
}

func remove(n *node, r *record.Remover) error {
	if err := restoreOthers(n, r); err != nil {
		return err
	}
	for _, path := range r.Chained() {
		if err := network.Unchain(r, path); err != nil {
			return err
		}
	}
	if err := r.RemoveOwned(hostfile.IsNetworkConfig); err != nil {
		return err
	}
	callers, err := network.Dir(n.at.NetDir()).Callers(r.Done)
	if err != nil {
		return err
	}
	if len(callers) > 0 {
		r.Leave("binaries and kubeconfig, which %s uses: remove calico from it, or remove it, and uninstall again",
			strings.Join(callers, ", "))
		return nil
	}
	if err := r.RemoveOwned(func(string) bool { return true }); err != nil {
		return err
	}
	if r.Dry {
		return nil
	}
	n.binaries.LogUnowned()
	for _, dir := range n.at.ManagedDirs(n.cfg.NodeFiles) {
		hostfile.SweepAll(dir, n.deps.Now(), n.deps.Log)
	}
	return n.record.Delete()
}

// restoreOthers restores the configurations that were moved aside. It precedes the removal of the plugins' own, so
// that the runtime always has one.
func restoreOthers(n *node, r *record.Remover) error {
	dir := network.Dir(n.at.NetDir())
	restored, kept, err := dir.Restore(r.Dry)
	for _, name := range restored {
		r.Report("restored", dir.Path(name))
	}
	for _, name := range kept {
		r.Leave("%s, whose old name is taken", dir.Path(name))
	}
	return err
}

// lastSettling bounds the attempt to settle releases. The kubelet gives a pod of the DaemonSet ten seconds to end.
const lastSettling = 5 * time.Second

// settleReleases makes one attempt to settle the queued releases, and leaves those that are still queued.
func settleReleases(ctx context.Context, n *node, r *record.Remover) {
	backlog, log := n.deps.Backlog, n.deps.Log
	if backlog == nil {
		return
	}
	if err := hostfile.Directory(n.at.NodeFilesDir()); err != nil {
		log.Info("queued releases cannot be counted: /var/lib/calico of the host is not mounted")
		return
	}
	waiting, err := backlog.Len()
	if waiting > 0 && !r.Dry {
		var done int
		ctx, cancel := deadline.Within(ctx, lastSettling, "the last settling of queued releases")
		defer cancel()
		if done, err = backlog.Settle(ctx); done > 0 {
			log.Info("queued releases are settled", "settled", done)
		}
		if now, e := backlog.Len(); e == nil {
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
	r.Leave("%d releases of addresses in %s, which wait for the API server%s: their addresses stay allocated until the "+
		"plugins are installed on this node again, or until they are released with calicoctl ipam release",
		waiting, n.at.QueueDir(), reason)
}

// stateDirs are the plugins' directories on the host, which they share with Calico's node agent.
const stateDirs = "/var/lib/calico, /var/run/calico, /var/log/calico"

// reportStateDirs names the directories that uninstall never removes.
func reportStateDirs(n *node, r *record.Remover) {
	const what = "state and logs of the plugins stay; " +
		"remove them when no pod of the node has an address of the plugins"
	if r.Dry {
		n.out.Printf("%s: %s\n", what, stateDirs)
		return
	}
	n.deps.Log.Info(what, "directories", stateDirs)
}
