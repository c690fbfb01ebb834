// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/install/credentials"
	"calico-cni/pkg/install/watch"
)

// newWatcher returns a watcher that keeps the node.
func newWatcher(n *node) *watch.Watcher {
	options := watch.Options{
		Host: n, Parts: parts(n), Permanent: func(err error) bool { return ExitCode(err) == ExitConfig },
		Backlog: n.deps.Backlog, RenewsAt: n.account.RenewsAt, Address: n.cfg.HealthAddr,
		Notes: n.notes, Now: n.deps.Now, Spread: n.deps.Spread, Log: n.deps.Log,
	}
	if n.cfg.CleanupOnExit {
		options.OnStop = func(ctx context.Context) error { return uninstall(ctx, n) }
	}
	w := watch.New(options)
	n.account.Renewed = w.TokenRenewed
	return w
}

// parts returns the parts of the installation to keep, in the order of the steps.
func parts(n *node) []*watch.Part {
	token := &credentials.Monitor{
		Account: n.account, Interval: credentials.CheckInterval(n.deps.Spread()),
		Refusals: nodestate.Conditions(n.at.ConditionsDir()).Refusals, Note: n.notes.Once,
	}
	return []*watch.Part{
		{
			Name:   "binaries",
			Find:   func(context.Context) ([]string, error) { return n.binaries.Find(n.notes.Once) },
			Repair: n.binaries.Install,
		},
		{Name: "node files", Find: found(n.files.Find), Repair: repair(n.files.Install)},
		{
			Name: "token", Find: token.FindToken, Repair: token.RenewToken,
			Routine: true, Tolerable: token.TokenLasts,
		},
		{Name: "kubeconfig", Find: token.FindKubeconfig, Repair: n.account.Install},
		{
			Name:   "network configuration",
			Find:   func(context.Context) ([]string, error) { return n.list.Find(n.notes.Once) },
			Repair: repair(n.installList), NeedsOthers: true,
		},
		{
			Name: "old network configuration",
			Find: found(n.others.FindOld), Repair: repair(n.others.RemoveOld), NeedsOthers: true,
		},
		{
			Name:   "other network configurations",
			Find:   func(context.Context) ([]string, error) { n.noteActive(); return n.others.FindRivals() },
			Repair: repair(n.others.MoveAside), NeedsOthers: true,
		},
	}
}

func found(find func() ([]string, error)) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) { return find() }
}

func repair(repair func() error) func(context.Context) error {
	return func(context.Context) error { return repair() }
}

// Prepare reads the configuration again, and asks for the API group if that is due.
func (n *node) Prepare(ctx context.Context) error {
	defer n.sweep()
	n.deps.Group.Refresh(ctx)
	return n.loadAndCheck()
}

// Installed protects binaries of a newer version from now on.
func (n *node) Installed() { n.binaries.KeepNewer() }

// Save writes the record.
func (n *node) Save() error { return n.record.Save() }
