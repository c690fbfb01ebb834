// SPDX-License-Identifier: Apache-2.0

// Package autodetect finds the IP addresses of a node, with the methods of Calico. It is pure: the links of the host
// are values. Package hostnet reads them.
package autodetect

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"slices"

	"calico-cni/pkg/model"
)

// Link is a link of the host.
type Link struct {
	Name         string
	Up, Loopback bool
	// Addrs are its addresses with their prefix lengths, in the order of the kernel.
	Addrs []netip.Prefix
}

// Host is what the detection needs to know of a host.
type Host struct {
	// Links are ordered by their indexes.
	Links []Link
	// Sources are the source addresses that the kernel uses for the destinations of the method can-reach. A destination
	// without route is absent.
	Sources map[string]netip.Addr
}

// tunnels matches the interfaces of pods and the tunnel devices of Calico. They never have the address of the node.
var tunnels = regexp.MustCompile(`^(cali|tunl|vxlan\.calico$|vxlan-v6\.calico$|wireguard\.cali$|wg-v6\.cali$)`)

// virtual matches the interfaces of other software that are unlikely to have the address of the node.
var virtual = regexp.MustCompile(
	`^(docker|cbr|dummy|podman|virbr|lxcbr|veth|lo$|br-|flannel|kube-ipvs|cni|nodelocaldns|lxdbr|cilium)`)

// physical reports whether a link is up and not one of those that the detection skips by default.
func (l Link) physical() bool {
	return l.Up && !l.Loopback && !tunnels.MatchString(l.Name) && !virtual.MatchString(l.Name)
}

// addr returns the first address of the link that the node can have and that accept accepts.
func (l Link) addr(f model.Family, accept func(netip.Addr) bool) (netip.Prefix, bool) {
	i := slices.IndexFunc(l.Addrs, func(p netip.Prefix) bool { return usable(p.Addr(), f) && accept(p.Addr()) })
	if i < 0 {
		return netip.Prefix{}, false
	}
	return l.Addrs[i], true
}

// found is an address with the name of its link.
type found struct {
	addr netip.Prefix
	link string
}

// first returns the first address on a link for which the functions return true.
func (h Host) first(f model.Family, links func(Link) bool, addrs func(netip.Addr) bool) (found, bool) {
	for _, l := range h.Links {
		if l.Up && !tunnels.MatchString(l.Name) && links(l) {
			if p, ok := l.addr(f, addrs); ok {
				return found{p, l.Name}, true
			}
		}
	}
	return found{}, false
}

// holder returns an address with the prefix length that it has on its link.
func (h Host) holder(f model.Family, addr netip.Addr) (found, bool) {
	return h.first(f, func(Link) bool { return true }, func(a netip.Addr) bool { return a == addr })
}

// usable reports whether a node can have an address.
func usable(addr netip.Addr, f model.Family) bool {
	return addr.IsGlobalUnicast() && addr.BitLen() == f.Bits() && !addr.Is4In6()
}

// Interfaces returns the value of the annotation projectcalico.org/Interfaces: the links that may carry traffic between
// nodes, with their addresses. It is empty if there are none.
func (h Host) Interfaces() string {
	type entry struct {
		Name      string       `json:"name"`
		Addresses []netip.Addr `json:"addresses"`
	}
	var all []entry
	for _, l := range h.Links {
		if !l.physical() || len(l.Addrs) == 0 {
			continue
		}
		e := entry{Name: l.Name}
		for _, p := range l.Addrs {
			e.Addresses = append(e.Addresses, p.Addr())
		}
		all = append(all, e)
	}
	if all == nil {
		return ""
	}
	data, err := json.Marshal(all)
	if err != nil {
		return ""
	}
	return string(data)
}
