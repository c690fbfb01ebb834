// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"path/filepath"
	"time"

	"calico-cni/pkg/agent/endpoint"
	"calico-cni/pkg/agent/kernel"
	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/agent/kernel/neigh"
	"calico-cni/pkg/agent/kernel/route"
	"calico-cni/pkg/agent/reconcile"
)

// statusDir is the directory of the endpoints' status files, below the configured directory.
const statusDir = "endpoint-status"

// KernelDrivers returns the drivers for the network namespace of the calling thread.
func KernelDrivers(now func() time.Time) ([]reconcile.Driver[Desired], error) {
	links, err := link.Open()
	if err != nil {
		return nil, err
	}
	neighbours, err := neigh.Open()
	if err != nil {
		return nil, err
	}
	routes, err := route.Open()
	if err != nil {
		return nil, err
	}
	r := &routeDriver{driver: route.Driver{Kernel: routes}, now: now}
	return []reconcile.Driver[Desired]{
		{Name: "devices", Apply: func(ctx context.Context, d Desired) reconcile.Result {
			return reconcile.Result(link.Driver{Kernel: links}.Apply(ctx, d.State.Devices))
		}},
		{Name: "neighbours", Apply: func(ctx context.Context, d Desired) reconcile.Result {
			return reconcile.Result(neigh.Driver{Kernel: neighbours}.Apply(ctx, d.State.Neighbours, d.State.FDB))
		}},
		{Name: "routes", Apply: r.apply},
		{Name: "endpoint status", Apply: r.writeFiles},
	}, nil
}

// routeDriver writes routes, and then the status files of endpoints.
type routeDriver struct {
	driver route.Driver
	now    func() time.Time
	// last is the result of the last run.
	last kernel.Report
}

func (r *routeDriver) apply(ctx context.Context, d Desired) reconcile.Result {
	if d.Config.Routes.SyncDisabled {
		r.last = kernel.Report{Waiting: []string{"all routes, because FelixConfiguration has routeSyncDisabled"}}
		return reconcile.Result(r.last)
	}
	r.driver.Owner = route.Ownership{
		Workloads: d.Config.Interfaces.Prefixes, KeepExternal: !d.Config.Routes.RemoveExternal,
	}
	r.last = r.driver.Apply(ctx, r.now(), d.State.Routes)
	return reconcile.Result(r.last)
}

// writeFiles writes the status files of endpoints, unless the routes failed: a file says that the pod is reachable.
func (r *routeDriver) writeFiles(_ context.Context, d Desired) reconcile.Result {
	switch {
	case d.Config.EndpointStatusPath == "":
		return reconcile.Result{}
	case r.last.Err != nil:
		return reconcile.Result{Waiting: []string{"for the routes"}}
	}
	files := endpoint.Files{Dir: filepath.Join(d.Config.EndpointStatusPath, statusDir)}
	writes, err := files.Apply(d.Files)
	result := reconcile.Result{Writes: writes}
	if err != nil {
		result.Faults = []error{err}
	}
	return result
}
