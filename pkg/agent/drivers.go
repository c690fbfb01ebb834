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

// Kernel is the kernel of the node, with a driver for each part.
type Kernel struct {
	// Drivers are in the order in which they run.
	Drivers []reconcile.Driver[Desired]
	// Refresh makes the next run of each driver read the kernel again.
	Refresh func()
}

// OpenKernel returns the drivers for the network namespace of the calling thread. A driver runs only if its desired
// state has changed, or after Refresh: a run reads the whole state of the kernel.
func OpenKernel(now func() time.Time) (Kernel, error) {
	links, err := link.Open()
	if err != nil {
		return Kernel{}, err
	}
	neighbours, err := neigh.Open()
	if err != nil {
		return Kernel{}, err
	}
	routes, err := route.Open()
	if err != nil {
		return Kernel{}, err
	}
	table, err := nft.Open()
	if err != nil {
		return Kernel{}, err
	}
	connections, err := conntrack.Open()
	if err != nil {
		return Kernel{}, err
	}
	r := &routeDriver{driver: route.Driver{Kernel: routes}, now: now}
	translation, tracked := &nat.Driver{Kernel: table}, &conntrack.Driver{Kernel: connections}
	var k Kernel
	var caches []*kernel.Cache[Desired]
	add := func(name string, equal func(a, b Desired) bool, apply func(context.Context, Desired) kernel.Report) {
		cache := kernel.NewCache(apply, equal)
		caches = append(caches, cache)
		k.Drivers = append(k.Drivers, reconcile.Driver[Desired]{
			Name:  name,
			Apply: func(ctx context.Context, d Desired) reconcile.Result { return reconcile.Result(cache.Apply(ctx, d)) },
		})
	}
	add("devices", sameDevices, func(ctx context.Context, d Desired) kernel.Report {
		return link.Driver{Kernel: links}.Apply(ctx, d.State.Devices)
	})
	add("neighbours", sameNeighbours, func(ctx context.Context, d Desired) kernel.Report {
		return neigh.Driver{Kernel: neighbours}.Apply(ctx, d.State.Neighbours, d.State.FDB)
	})
	add("address translation", never, func(ctx context.Context, d Desired) kernel.Report {
		// The driver knows from a number in the kernel whether anything has changed.
		return translation.Apply(ctx, nat.Config{
			NAT: d.State.NAT, Filters: d.State.Filters, Workloads: d.Config.Interfaces.Prefixes,
		})
	})
	add("connection tracking", never, func(ctx context.Context, d Desired) kernel.Report {
		tracked.Workloads = d.Config.Interfaces.Prefixes
		return tracked.Apply(ctx, d.State.Routes)
	})
	add("routes", sameRoutes, r.apply)
	add("kernel parameters", sameEndpoints, func(ctx context.Context, d Desired) kernel.Report {
		return sysctl.Driver{Root: kernelParameters}.Apply(ctx, parameters(d))
	})
	add("MTU file", sameMTU, writeMTU)
	add("endpoint status", never, r.writeFiles)
	k.Refresh = func() {
		for _, c := range caches {
			c.Refresh()
		}
	}
	return k, nil
}

// routeDriver writes routes, and then the status files of endpoints.
type routeDriver struct {
	driver route.Driver
	now    func() time.Time
	// last is the result of the last run.
	last kernel.Report
}

func (r *routeDriver) apply(ctx context.Context, d Desired) kernel.Report {
	if d.Config.Routes.SyncDisabled {
		r.last = kernel.Report{Waiting: []string{"all routes, because FelixConfiguration has routeSyncDisabled"}}
		return r.last
	}
	r.driver.Owner = route.Ownership{
		Workloads: d.Config.Interfaces.Prefixes, KeepExternal: !d.Config.Routes.RemoveExternal,
	}
	r.last = r.driver.Apply(ctx, r.now(), d.State.Routes)
	return r.last
}

// writeFiles writes the status files of endpoints, unless the routes failed: a file says that the pod is reachable.
func (r *routeDriver) writeFiles(_ context.Context, d Desired) kernel.Report {
	switch {
	case d.Config.EndpointStatusPath == "":
		return kernel.Report{}
	case r.last.Err != nil:
		return kernel.Report{Waiting: []string{"for the routes"}}
	}
	files := endpoint.Files{Dir: filepath.Join(d.Config.EndpointStatusPath, statusDir)}
	writes, err := files.Apply(d.Files)
	result := kernel.Report{Writes: writes}
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
func writeMTU(_ context.Context, d Desired) kernel.Report {
	err := startup.WriteMTU(startup.DefaultMTUFile, d.MTU.Pods)
	switch {
	case err == nil:
		return kernel.Report{}
	case d.Config.MTU.RequireFile:
		return kernel.Report{Err: err}
	}
	return kernel.Report{Faults: []error{err}}
}
