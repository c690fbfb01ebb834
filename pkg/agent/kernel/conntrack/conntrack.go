// SPDX-License-Identifier: Apache-2.0

// Package conntrack deletes the connection tracking entries of addresses that a node's pods no longer have. Otherwise
// another pod with the same address would get packets of old connections.
package conntrack

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/agent/kernel"
	"calico-cni/pkg/netstate"
)

// Kernel deletes entries.
type Kernel interface {
	// Delete deletes the entries whose source address in the original or in the reply direction is one of addrs. It
	// returns the number of deleted entries, also with an error.
	Delete(addrs map[netip.Addr]bool) (int, error)
}

// Driver deletes the entries of addresses that are removed or move to another interface. It has one user at a time.
//
// It does not know what was removed before the first run. It runs before the driver of routes, so that the old entries
// of an address that moves are gone when its new route comes into force.
type Driver struct {
	Kernel Kernel
	// Workloads are the prefixes of the names of workload interfaces.
	Workloads []string

	// local has the interface of each local address in the last run, and removed the addresses that still have entries.
	local   map[netip.Addr]string
	removed map[netip.Addr]bool
}

// Apply compares the addresses of pods in the desired routes with those of the last run. One pass deletes the entries
// of all removed addresses.
func (d *Driver) Apply(_ context.Context, desired []netstate.Route) kernel.Report {
	now := d.addresses(desired)
	if d.removed == nil {
		d.removed = map[netip.Addr]bool{}
	}
	for addr, ifName := range d.local {
		if now[addr] != ifName {
			d.removed[addr] = true
		}
	}
	d.local = now
	if len(d.removed) == 0 {
		return kernel.Report{}
	}
	deleted, err := d.Kernel.Delete(d.removed)
	if err != nil {
		report := kernel.Failed("delete connection tracking entries of removed addresses", err)
		report.Writes = deleted
		return report
	}
	clear(d.removed)
	return kernel.Report{Writes: deleted}
}

// addresses returns the addresses of pods with their interfaces.
func (d *Driver) addresses(routes []netstate.Route) map[netip.Addr]string {
	local := map[netip.Addr]string{}
	for _, r := range routes {
		isWorkload := slices.ContainsFunc(d.Workloads, func(p string) bool {
			return p != "" && strings.HasPrefix(r.Dev, p)
		})
		if r.Dest.IsSingleIP() && isWorkload {
			local[r.Dest.Addr()] = r.Dev
		}
	}
	return local
}
