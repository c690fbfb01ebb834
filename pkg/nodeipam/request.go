// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"maps"
	"net/netip"
)

// NamespaceNameLabel is a label that every namespace has for selectors, its name.
const NamespaceNameLabel = "projectcalico.org/name"

// Name requests specific addresses, at most one per family, and no others. Without addresses it changes nothing.
func (r *Request) Name(addrs []netip.Addr) {
	if len(addrs) == 0 {
		return
	}
	r.IPv4.Wanted, r.IPv6.Wanted = false, false
	for _, addr := range addrs {
		if addr.Is4() {
			r.IPv4.Wanted, r.IPv4.Addr = true, addr
		} else {
			r.IPv6.Wanted, r.IPv6.Addr = true, addr
		}
	}
}

// Addrs returns the addresses of the grant.
func (g Grant) Addrs() []netip.Addr {
	var out []netip.Addr
	for _, a := range g.Assigned {
		out = append(out, a.Addr)
	}
	return out
}

// NamespaceLabels are the labels of a namespace as pools select by them: its own and, whatever these say of it, its
// name.
func NamespaceLabels(name string, labels map[string]string) map[string]string {
	out := make(map[string]string, len(labels)+1)
	maps.Copy(out, labels)
	out[NamespaceNameLabel] = name
	return out
}
