// SPDX-License-Identifier: Apache-2.0

// Package route keeps the main routing table of a node in the desired state.
//
// Ownership decides which routes the agent replaces and deletes. It leaves all others alone: a route of another program
// in the place of a desired one is reported. New and replaced routes are written before stale ones are deleted, so that
// a destination has a route at any time.
package route

import (
	"context"
	"net/netip"
	"time"

	"calico-cni/pkg/agent/kernel"
	"calico-cni/pkg/netstate"
)

// Link is what the driver knows of a link.
type Link struct {
	// Index is another one when a link of the same name is created again.
	Index int
	// Up is the administrative state. The kernel has no routes on a link that is down.
	Up bool
}

// Found is a route as the kernel has it. For an IPv6 blackhole, Dev is empty.
type Found struct {
	Route netstate.Route
	TOS   int
	// Other says what the route has that the agent never writes, such as "multipath".
	Other string
}

// Actual is the state of the kernel.
type Actual struct {
	// Links are all links by name.
	Links map[string]Link
	// Routes are those of the main table, both families.
	Routes []Found
}

// Kernel reads and writes the main routing table.
type Kernel interface {
	Read() (Actual, error)
	Write(change Change) error
}

// grace is the time for which unknown routes on a new workload interface stay: the plugin writes them before the agent
// learns of the pod.
const grace = 10 * time.Second

// Driver keeps the main routing table in the desired state. It has one user at a time.
type Driver struct {
	Kernel Kernel
	// Owner decides which routes belong to the agent.
	Owner Ownership

	// seen has the time at which each link, by index, was seen first.
	seen map[int]time.Time
}

// Apply brings the routes to the desired state. Routes whose link is down or missing wait for it.
func (d *Driver) Apply(ctx context.Context, now time.Time, desired []netstate.Route) kernel.Report {
	actual, err := d.Kernel.Read()
	if err != nil {
		return kernel.Failed("read routes", err)
	}
	return kernel.Execute(ctx, Diff(actual, desired, d.Owner, d.young(actual.Links, now)), d.Kernel.Write)
}

// young returns the workload interfaces that are in their time of grace.
func (d *Driver) young(links map[string]Link, now time.Time) map[string]bool {
	seen, young := map[int]time.Time{}, map[string]bool{}
	for name, link := range links {
		if !d.Owner.isWorkload(name) {
			continue
		}
		first, known := d.seen[link.Index]
		if !known {
			first = now
		}
		seen[link.Index] = first
		young[name] = now.Sub(first) < grace
	}
	d.seen = seen
	return young
}

// key identifies a route in the main table.
type key struct {
	dest   netip.Prefix
	metric int
}

func keyOf(r netstate.Route) key { return key{r.Dest, r.Metric} }

// ipv6Metric is the metric that the kernel uses for an IPv6 route with metric 0.
const ipv6Metric = 1024

// normal returns a route in the form in which the kernel returns it.
func normal(r netstate.Route) netstate.Route {
	r.Dest = r.Dest.Masked()
	if r.Dest.Addr().Is6() && r.Metric == 0 {
		r.Metric = ipv6Metric
	}
	return r
}
