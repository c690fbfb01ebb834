// SPDX-License-Identifier: Apache-2.0

// Package agent is the node agent: it watches the cluster, computes the network that the node needs, and keeps the
// kernel in that state. Its parts are in the packages below it, and the computation in pkg/routing.
package agent

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/agent/cluster"
	"calico-cni/pkg/agent/health"
	"calico-cni/pkg/agent/kernel/monitor"
	"calico-cni/pkg/agent/reconcile"
	"calico-cni/pkg/agent/startup"
	"calico-cni/pkg/model"
	"calico-cni/pkg/watch"
)

// Options configure the agent.
type Options struct {
	// Node is the name of this node.
	Node string
	// Group and Version are those of Calico's objects.
	Group, Version string
	// API is the configuration of clients of the API server.
	API *rest.Config
	// Env is the environment, File the content of felix.cfg.
	Env  map[string]string
	File []byte
	// Kernel applies the desired state.
	Kernel Kernel
	// Nodes, Defaults and Tunnels are what the agent needs to describe its node in the API.
	Nodes    NodeAPI
	Defaults startup.Defaults
	Tunnels  TunnelAddresses
	// HealthAddr is the host:port of liveness and readiness. Empty means none.
	HealthAddr string
	// MetricsAddr is the host:port of the metrics. Empty means none.
	MetricsAddr string
	Now         func() time.Time
	Log         *slog.Logger
}

// Agent is a node agent.
type Agent struct {
	options Options
	inputs  *inputs
	keeper  *keeper
	loop    *reconcile.Loop[Desired]
	record  *record
	// pools are those of the last round.
	pools []model.Pool
}

// New returns an agent that does nothing before Run.
func New(o Options) (*Agent, error) {
	a := &Agent{options: o, loop: reconcile.New[Desired](), record: &record{now: o.Now, log: o.Log}}
	connection, err := watch.Connect(o.API)
	if err != nil {
		return nil, err
	}
	objects, err := cluster.New(cluster.Options{
		Connection: connection, Node: o.Node, Group: o.Group, Version: o.Version, Now: o.Now,
		Changed: a.inputChanged, Failed: a.watchFailed,
	})
	if err != nil {
		return nil, err
	}
	a.inputs = &inputs{node: o.Node, cluster: objects, env: o.Env, file: o.File}
	a.inputs.hostChanged()
	a.keeper = a.newKeeper()
	var parts []string
	for _, d := range o.Kernel.Drivers {
		parts = append(parts, d.Name)
	}
	a.record.metrics = newMetrics(parts, a.record.ready)
	a.loop.Desired, a.loop.Drivers, a.loop.Resync = a.startRound, o.Kernel.Drivers, a.inputs.resync
	a.loop.Publish, a.loop.Now, a.loop.Resyncing = a.endRound, o.Now, a.resyncing
	return a, nil
}

func (a *Agent) newKeeper() *keeper {
	o := a.options
	settings, findings := startup.ParseSettings(o.Env)
	for _, f := range findings {
		o.Log.Warn(f.String())
	}
	return &keeper{
		node: o.Node, api: o.Nodes, defaults: o.Defaults, tunnels: o.Tunnels, settings: settings,
		addrs: startup.Addresses{Node: o.Node, Settings: settings},
		last:  a.inputs.last, ready: a.record.ready,
		report: a.record.setOwnFindings, now: o.Now, log: o.Log, wake: make(chan struct{}, 1),
	}
}

// Run runs the agent until the context ends, or until it cannot work any more.
func (a *Agent) Run(parent context.Context) error {
	ctx, stop := context.WithCancelCause(parent)
	defer stop(nil)
	changes, err := monitor.Subscribe()
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	run := func(f func(context.Context) error) {
		group.Go(func() {
			if err := f(ctx); err != nil {
				stop(err)
			}
		})
	}
	run(func(ctx context.Context) error {
		return changes.Run(ctx, func() {
			a.resyncing()
			a.loop.KernelChanged()
		})
	})
	run(func(ctx context.Context) error {
		a.inputs.cluster.Run(ctx)
		return nil
	})
	run(a.keeper.run)
	if a.options.HealthAddr != "" {
		run(a.serveHealth)
	}
	if a.options.MetricsAddr != "" {
		run(a.serveMetrics)
	}
	a.loop.Run(ctx)
	group.Wait()
	if parent.Err() != nil {
		return nil
	}
	return deadline.Cause(ctx)
}

// resyncing makes the next round read everything again.
func (a *Agent) resyncing() {
	a.inputs.hostChanged()
	a.options.Kernel.Refresh()
}

// inputChanged makes the loop look at a change.
func (a *Agent) inputChanged() {
	a.record.noteChange()
	a.loop.InputChanged()
}

// startRound returns the newest desired state.
func (a *Agent) startRound() (Desired, bool) {
	a.record.begin()
	d, ok := a.inputs.desired()
	if ok {
		a.record.metrics.endpoints.Set(float64(len(d.Endpoints)))
		s, _ := a.inputs.last()
		a.record.metrics.hosts.Set(float64(len(s.Nodes)))
	}
	return d, ok
}

// watchFailed logs that the watch of a kind fails, and that it works again.
func (a *Agent) watchFailed(kind string, err error) {
	if err != nil {
		a.options.Log.Warn("cannot watch; going on with what is known", "kind", kind, "error", err)
		return
	}
	a.options.Log.Info("watching again", "kind", kind)
}

// endRound records the result of a round. The keeper looks again if it can have more to do.
func (a *Agent) endRound(s reconcile.Status) {
	_, findings := a.inputs.problems()
	changed := a.record.end(s, findings)
	if last, _ := a.inputs.last(); changed || !samePools(last.Pools, a.pools) {
		a.pools = last.Pools
		a.keeper.changed()
	}
}

// samePools compares pools in any order.
func samePools(a, b []model.Pool) bool {
	order := func(p []model.Pool) []model.Pool {
		return slices.SortedFunc(slices.Values(p), func(a, b model.Pool) int { return cmp.Compare(a.Name, b.Name) })
	}
	return slices.Equal(order(a), order(b))
}

// ready is the readiness check.
func (a *Agent) ready() (ok bool, lines []string) {
	lines, findings := a.inputs.problems()
	return a.record.ready(), slices.Concat(lines, a.record.problems(), findings)
}

// serveHealth serves liveness and readiness.
func (a *Agent) serveHealth(ctx context.Context) error {
	return serve(ctx, a.options.HealthAddr, health.Handler(a.record.live, a.ready), "set FELIX_HEALTHPORT to a free port")
}

// serveMetrics serves the metrics.
func (a *Agent) serveMetrics(ctx context.Context) error {
	return serve(ctx, a.options.MetricsAddr, a.record.metrics.page(), "set FELIX_PROMETHEUSMETRICSPORT to a free port")
}
