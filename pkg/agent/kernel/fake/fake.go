// SPDX-License-Identifier: Apache-2.0

// Package fake is a kernel in memory for the tests of the drivers and of their users. It refuses what the kernel
// refuses, and loses what the kernel loses, such as routes whose link goes down. The contract suite runs on it and on
// the real kernel.
package fake

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/agent/kernel/route"
	"calico-cni/pkg/netstate"
)

// Kernel is the network of a node in memory. It starts with lo, which is up.
type Kernel struct {
	// Modules are the kinds of tunnel devices that the kernel knows.
	Modules []netstate.Kind

	nextIndex  int
	links      map[string]*device
	routes     []route.Found
	neighbours []netstate.Neighbour
	fdb        []netstate.FDBEntry
}

// device is a link.
type device struct {
	index int
	found link.Found
}

// New returns a kernel that knows VXLAN and IPIP.
func New() *Kernel {
	k := &Kernel{links: map[string]*device{}, Modules: []netstate.Kind{netstate.VXLAN, netstate.IPIP}}
	k.AddLink("lo", "device")
	k.SetUp("lo")
	return k
}

// AddLink adds a link that is down. The kind is that of `ip -d link`.
func (k *Kernel) AddLink(name string, kind netstate.Kind) {
	k.nextIndex++
	k.links[name] = &device{index: k.nextIndex, found: link.Found{
		Device: netstate.Device{Name: name, Kind: kind, MTU: 1500},
	}}
}

// SetUp sets a link up.
func (k *Kernel) SetUp(name string) {
	d := k.links[name]
	if d == nil || d.found.Up {
		return
	}
	d.found.Up = true
	for _, a := range d.found.Addrs {
		k.addKernelRoute(name, a)
	}
}

// SetDown sets a link down. It loses its routes, neighbours and IPv6 addresses.
func (k *Kernel) SetDown(name string) {
	d := k.links[name]
	if d == nil {
		return
	}
	d.found.Up = false
	d.found.Addrs = slices.DeleteFunc(d.found.Addrs, func(p netip.Prefix) bool { return p.Addr().Is6() })
	k.dropRoutes(func(f route.Found) bool { return f.Route.Dev == name })
	k.neighbours = slices.DeleteFunc(k.neighbours, func(n netstate.Neighbour) bool { return n.Dev == name })
}

// DeleteLink deletes a link with everything on it, and the VXLAN devices above it.
func (k *Kernel) DeleteLink(name string) {
	if k.links[name] == nil {
		return
	}
	k.SetDown(name)
	for _, a := range slices.Clone(k.links[name].found.Addrs) {
		k.deleteAddr(name, a)
	}
	k.fdb = slices.DeleteFunc(k.fdb, func(e netstate.FDBEntry) bool { return e.Dev == name })
	delete(k.links, name)
	for upper, d := range k.links {
		if d.found.Device.VXLAN.Parent == name {
			k.DeleteLink(upper)
		}
	}
}

// AddAddr adds an address to a link.
func (k *Kernel) AddAddr(name string, p netip.Prefix) error {
	d := k.links[name]
	if d == nil {
		return unix.ENODEV
	}
	if slices.Contains(d.found.Addrs, p) {
		return nil
	}
	d.found.Addrs = append(d.found.Addrs, p)
	if d.found.Up {
		k.addKernelRoute(name, p)
	}
	return nil
}

// protocolKernel and kernelMetric are those of the routes that follow from addresses.
const (
	protocolKernel = 2
	kernelMetric   = 256
)

// addKernelRoute adds the route that follows from an address.
func (k *Kernel) addKernelRoute(name string, p netip.Prefix) {
	if name == "lo" || p.Addr().Is4() && p.IsSingleIP() {
		return
	}
	r := netstate.Route{Dest: p.Masked(), Type: netstate.Unicast, Dev: name, Protocol: protocolKernel}
	if p.Addr().Is4() {
		r.Src = p.Addr()
	} else {
		r.Metric = kernelMetric
	}
	k.routes = append(k.routes, route.Found{Route: r})
}

// deleteAddr deletes an address, the route that follows from it, and IPv4 routes with it as source.
func (k *Kernel) deleteAddr(name string, p netip.Prefix) {
	d := k.links[name]
	d.found.Addrs = slices.DeleteFunc(d.found.Addrs, func(q netip.Prefix) bool { return q == p })
	k.dropRoutes(func(f route.Found) bool {
		r := f.Route
		return r.Protocol == protocolKernel && r.Dev == name && r.Dest == p.Masked()
	})
	if k.isLocal(p.Addr()) {
		return
	}
	k.dropRoutes(func(f route.Found) bool { return p.Addr().Is4() && f.Route.Src == p.Addr() })
	for i := range k.routes {
		if k.routes[i].Route.Src == p.Addr() {
			k.routes[i].Route.Src = netip.Addr{}
		}
	}
}

func (k *Kernel) dropRoutes(drop func(route.Found) bool) {
	k.routes = slices.DeleteFunc(k.routes, drop)
}

// isLocal reports whether a link has an address.
func (k *Kernel) isLocal(a netip.Addr) bool {
	for _, d := range k.links {
		for _, p := range d.found.Addrs {
			if p.Addr() == a {
				return true
			}
		}
	}
	return false
}
