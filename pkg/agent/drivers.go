// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"path/filepath"
	"time"

	"calico-cni/pkg/agent/endpoint"
	"calico-cni/pkg/agent/kernel"
	"calico-cni/pkg/agent/kernel/conntrack"
	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/agent/kernel/nat"
	"calico-cni/pkg/agent/kernel/neigh"
	"calico-cni/pkg/agent/kernel/nft"
	"calico-cni/pkg/agent/kernel/route"
	"calico-cni/pkg/agent/kernel/sysctl"
	"calico-cni/pkg/agent/reconcile"
	"calico-cni/pkg/agent/startup"
)

// statusDir is the directory of the endpoints' status files, below the configured directory.
const statusDir = "endpoint-status"

// kernelParameters is the directory of the kernel's parameters.
const kernelParameters = "/proc/sys"

// mtuFile is the file from which the plugins read the MTU of pods.
const mtuFile = "/var/lib/calico/mtu"

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
	table, err := nft.Open()
	if err != nil {
		return nil, err
	}
	connections, err := conntrack.Open()
	if err != nil {
		return nil, err
	}
	translation, tracked := &nat.Driver{Kernel: table}, &conntrack.Driver{Kernel: connections}
	r := &routeDriver{driver: route.Driver{Kernel: routes}, now: now}
	return []reconcile.Driver[Desired]{
		{Name: "devices", Apply: func(ctx context.Context, d Desired) reconcile.Result {
			return reconcile.Result(link.Driver{Kernel: links}.Apply(ctx, d.State.Devices))
		}},
		{Name: "neighbours", Apply: func(ctx context.Context, d Desired) reconcile.Result {
			return reconcile.Result(neigh.Driver{Kernel: neighbours}.Apply(ctx, d.State.Neighbours, d.State.FDB))
		}},
		{Name: "connection tracking", Apply: func(ctx context.Context, d Desired) reconcile.Result {
			tracked.Workloads = d.Config.Interfaces.Prefixes
			return reconcile.Result(tracked.Apply(ctx, d.State.Routes))
		}},
		{Name: "routes", Apply: r.apply},
		{Name: "address translation", Apply: func(ctx context.Context, d Desired) reconcile.Result {
			return reconcile.Result(translation.Apply(ctx, nat.Config{
				NAT: d.State.NAT, Filters: d.State.Filters, Workloads: d.Config.Interfaces.Prefixes,
			}))
		}},
		{Name: "kernel parameters", Apply: func(ctx context.Context, d Desired) reconcile.Result {
			return reconcile.Result(sysctl.Driver{Root: kernelParameters}.Apply(ctx, parameters(d)))
		}},
		{Name: "MTU file", Apply: writeMTU},
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

// parameters returns the kernel parameters that the node and the interfaces of its pods need.
func parameters(d Desired) sysctl.Config {
	out := sysctl.Config{V4: d.Config.IPForwarding, V6: d.Config.IPForwarding && d.Config.IPv6}
	for _, e := range d.Endpoints {
		i := sysctl.Interface{Name: e.Interface}
		for _, addr := range e.Addrs {
			i.V4, i.V6 = i.V4 || addr.Is4(), i.V6 || addr.Is6()
		}
		out.Interfaces = append(out.Interfaces, i)
	}
	return out
}

// writeMTU writes the file from which the plugins read the MTU of pods.
func writeMTU(_ context.Context, d Desired) reconcile.Result {
	err := startup.WriteMTU(mtuFile, d.MTU.Pods)
	switch {
	case err == nil:
		return reconcile.Result{}
	case d.Config.MTU.RequireFile:
		return reconcile.Result{Err: err}
	}
	return reconcile.Result{Faults: []error{err}}
}
