// SPDX-License-Identifier: Apache-2.0

// Package agent is the node agent: it watches the cluster, computes the network that the node needs, and keeps the
// kernel in that state. Its parts are in the packages below it, and the computation in pkg/routing.
package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"

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
	metrics *metrics
	log     *slog.Logger

	mu     sync.Mutex
	status reconcile.Status
	// wasReady and pools are what the keeper was told last.
	wasReady bool
	pools    []model.Pool
	// ownFindings are those of the keeper.
	ownFindings []string
	reported    map[string]bool
	// started is the start of the round that is running; it is zero between rounds.
	started time.Time
	// pending is the time of the first change that no round has seen yet, and covered that of the running round.
	pending, covered time.Time
}

// maxRound is the time after which a round that does not end makes the agent not alive.
const maxRound = 90 * time.Second

// New returns an agent that does nothing before Run.
func New(o Options) (*Agent, error) {
	a := &Agent{options: o, loop: reconcile.New[Desired](), log: o.Log, reported: map[string]bool{}}
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
	a.keeper = a.newKeeper(objects)
	var parts []string
	for _, d := range o.Kernel.Drivers {
		parts = append(parts, d.Name)
	}
	a.metrics = newMetrics(parts, a.isReady)
	a.loop.Desired, a.loop.Drivers, a.loop.Resync = a.startRound, o.Kernel.Drivers, a.inputs.resync
	a.loop.Publish, a.loop.Now, a.loop.Resyncing = a.publish, o.Now, a.resyncing
	return a, nil
}

func (a *Agent) newKeeper(objects *cluster.Cluster) *keeper {
	o := a.options
	settings, findings := startup.ParseSettings(o.Env)
	for _, f := range findings {
		o.Log.Warn(f.String())
	}
	return &keeper{
		node: o.Node, api: o.Nodes, defaults: o.Defaults, tunnels: o.Tunnels, settings: settings,
		addrs: startup.Addresses{Node: o.Node, Settings: settings},
		last:  a.inputs.last, synced: func() bool { return len(objects.Missing()) == 0 }, ready: a.isReady,
		report: a.setOwnFindings, now: o.Now, log: o.Log, wake: make(chan struct{}, 1),
	}
}

// Run runs the agent until the context ends, or until it cannot work any more.
func (a *Agent) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
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
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// resyncing makes the next round read everything again.
func (a *Agent) resyncing() {
	a.inputs.hostChanged()
	a.options.Kernel.Refresh()
}

// inputChanged notes the time of a change, and makes the loop look at it.
func (a *Agent) inputChanged() {
	a.mu.Lock()
	if a.pending.IsZero() {
		a.pending = a.options.Now()
	}
	a.mu.Unlock()
	a.loop.InputChanged()
}

// startRound returns the newest desired state.
func (a *Agent) startRound() (Desired, bool) {
	a.mu.Lock()
	a.started, a.covered, a.pending = a.options.Now(), a.pending, time.Time{}
	a.mu.Unlock()
	d, ok := a.inputs.desired()
	if ok {
		a.metrics.endpoints.Set(float64(len(d.Endpoints)))
		a.metrics.hosts.Set(float64(len(a.inputs.last().Nodes)))
	}
	return d, ok
}

// watchFailed logs that the watch of a kind fails, and that it works again.
func (a *Agent) watchFailed(kind string, err error) {
	if err != nil {
		a.log.Warn("cannot watch; going on with what is known", "kind", kind, "error", err)
		return
	}
	a.log.Info("watching again", "kind", kind)
}

// publish stores the status of a round, and logs what is new.
func (a *Agent) publish(s reconcile.Status) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.Ready() && !a.status.Ready() {
		a.log.Info("the network of the node is in force")
	}
	now := a.options.Now()
	since := time.Duration(0)
	if !a.covered.IsZero() {
		since = now.Sub(a.covered)
	}
	a.metrics.round(s, now.Sub(a.started), since)
	a.status, a.started = s, time.Time{}
	_, findings := a.inputs.problems()
	a.metrics.findings.Set(float64(len(findings)))
	reported := map[string]bool{}
	for _, line := range slices.Concat(s.Faults(), findings) {
		reported[line] = true
		if !a.reported[line] {
			a.log.Warn(line)
		}
	}
	a.reported = reported
	if pools := a.inputs.last().Pools; s.Ready() != a.wasReady || !samePools(pools, a.pools) {
		a.wasReady, a.pools = s.Ready(), pools
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

// isReady reports whether the network of the node is in force.
func (a *Agent) isReady() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status.Ready()
}

// setOwnFindings stores the findings of the keeper, and logs what is new.
func (a *Agent) setOwnFindings(findings []model.Finding) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var lines []string
	for _, f := range findings {
		lines = append(lines, f.String())
		if !slices.Contains(a.ownFindings, f.String()) {
			a.log.Warn(f.String())
		}
	}
	a.ownFindings = lines
}

// live is the liveness check.
func (a *Agent) live() (ok bool, lines []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if since := a.options.Now().Sub(a.started); !a.started.IsZero() && since > maxRound {
		return false, []string{fmt.Sprintf("a round has been running for %s", since.Round(time.Second))}
	}
	return true, nil
}

// ready is the readiness check.
func (a *Agent) ready() (ok bool, lines []string) {
	lines, findings := a.inputs.problems()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status.Ready(), slices.Concat(lines, a.status.Faults(), a.status.Waiting(), findings, a.ownFindings)
}

// serveHealth serves liveness and readiness.
func (a *Agent) serveHealth(ctx context.Context) error {
	return serve(ctx, a.options.HealthAddr, health.Handler(a.live, a.ready), "set FELIX_HEALTHPORT to a free port")
}

// serveMetrics serves the metrics.
func (a *Agent) serveMetrics(ctx context.Context) error {
	return serve(ctx, a.options.MetricsAddr, a.metrics.page(), "set FELIX_PROMETHEUSMETRICSPORT to a free port")
}
