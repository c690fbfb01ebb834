// SPDX-License-Identifier: Apache-2.0

// Package install installs the plugins on a node: the binaries, the kubeconfig that they use, and then the network
// configuration, which makes the container runtime call them. It writes each file atomically, unless the file is up to
// date. It also repairs the installation (`--watch`), shows its status and removes it.
//
// This package has the steps, in order. The parts are in the packages below it.
package install

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/install/apigroup"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/credentials"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/hostfile"
	"calico-cni/pkg/install/watch"
)

// Deps are the effects that Run has besides files.
type Deps struct {
	Tokens credentials.Issuer
	// Group chooses the API group of Calico's objects.
	Group *apigroup.Choice
	// Backlog is for watching and uninstalling. nil settles no releases.
	Backlog  watch.Backlog
	Hostname func() (string, error)
	// LinkMTU returns the MTU of the link of the default route, in bytes.
	LinkMTU func() (int, error)
	Now     func() time.Time
	// Spread returns a random number in [0, 1), so that not all nodes act at the same time.
	Spread func() float64
	// Wake receives when something may have changed, and at least every few seconds, so that the token is renewed in time.
	Wake <-chan struct{}
	// Out receives the output of status and of a dry run.
	Out io.Writer
	Log *slog.Logger
}

// Run does what the configuration says: it installs, watches, uninstalls, or prints the status. It returns an error
// that wraps fault.ErrConfig or conflist.ErrInvalid before it writes anything if the configuration or the template
// is invalid. Other errors name the step and a remedy.
func Run(ctx context.Context, cfg config.Config, deps Deps) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	warnings := cfg.ReplaceInvalidLogSettings()
	if cfg.Verb == config.VerbInstall {
		for _, warning := range warnings {
			deps.Log.Warn("invalid setting of the plugins' log is replaced: " + warning)
		}
	}
	n := newNode(cfg, deps)
	switch {
	case cfg.Verb == config.VerbStatus:
		return printStatus(n)
	case cfg.Verb == config.VerbUninstall:
		return uninstall(ctx, n)
	case cfg.DryRun:
		return dryRun(ctx, n)
	case cfg.Watch:
		return newWatcher(n).Run(ctx, deps.Wake)
	}
	if err := n.Install(ctx); err != nil {
		return err
	}
	if cfg.Sleep {
		deps.Log.Info("installed; waiting for the signal to stop")
		<-ctx.Done()
	}
	return nil
}

// step is a named step. Its name precedes its error.
type step struct {
	name string
	run  func(context.Context) error
}

// Install runs the steps of an installation. Each step does nothing if the host is up to date. The first four steps
// write nothing, so that no file changes if the plugins, the host or the API server would reject something. If a later
// step fails, the files of earlier steps stay, and later steps do not run.
func (n *node) Install(ctx context.Context) error {
	for _, s := range []step{
		{"prepare", func(context.Context) error { return n.loadAndCheck() }},
		{"find API group", n.findGroup},
		{"check", n.check},
		{"request credentials", n.account.Prepare},
		{"install binaries", func(ctx context.Context) error { n.sweep(); return n.binaries.Install(ctx) }},
		{"provide node files", func(context.Context) error { return n.files.Install() }},
		{"install kubeconfig", n.account.Install},
		{"install network configuration", func(context.Context) error { return n.installList() }},
		{"remove old network configuration", func(context.Context) error { return n.others.RemoveOld() }},
		{"move other network configurations aside", func(context.Context) error { return n.moveAside() }},
		{"write record", func(context.Context) error { return n.record.Save() }},
	} {
		if err := deadline.Cause(ctx); err != nil {
			return fmt.Errorf("%s: interrupted: %w; install again to continue", s.name, err)
		}
		if err := s.run(ctx); err != nil {
			return fmt.Errorf("%s: %w%s", s.name, err, fault.Remedy(err))
		}
	}
	return nil
}

// loadAndCheck reads the configuration, and checks it with the plugins' parser.
func (n *node) loadAndCheck() error {
	if err := n.load(); err != nil {
		return err
	}
	return n.list.Check()
}

// findGroup asks the API server for the API group of Calico's objects, unless it is configured. If the API server does
// not answer, an installed node keeps its group.
func (n *node) findGroup(ctx context.Context) error {
	n.useInstalledGroup()
	err := n.deps.Group.Find(ctx)
	n.list.SetAPIGroup(n.deps.Group.Group())
	if err != nil && n.list.InstalledGroup() != "" {
		n.deps.Log.Warn("the API group of Calico's objects stays", "group", n.deps.Group.Group(), "error", err)
		return nil
	}
	return err
}

// check returns an error if a later step would fail. It writes nothing: a node keeps its files until all new ones are
// available.
func (n *node) check(ctx context.Context) error {
	if err := n.binaries.Check(ctx); err != nil {
		return err
	}
	if _, err := n.files.Wanted(); err != nil {
		return err
	}
	// The token is requested after everything else is known to be valid.
	if err := n.account.Check(); err != nil {
		return err
	}
	for _, path := range []string{n.account.Path, n.list.Path()} {
		if err := hostfile.Replaceable(path); err != nil {
			return err
		}
	}
	return n.list.CheckKubeconfigs()
}

// installList writes the network configuration and removes those of earlier runs.
func (n *node) installList() error {
	if err := n.list.Install(); err != nil {
		return err
	}
	if err := n.list.RemoveFormer(n.remover(false)); err != nil {
		return err
	}
	return n.record.ForgetUnchained()
}

// moveAside moves other network configurations aside, and warns if runtimes still use one of them.
func (n *node) moveAside() error {
	if err := n.others.MoveAside(); err != nil {
		return err
	}
	n.noteActive()
	return nil
}

// noteActive warns if runtimes use another network configuration than ours.
func (n *node) noteActive() {
	if active := n.others.Active(); active != "" {
		n.notes.Once(active)
	}
}
