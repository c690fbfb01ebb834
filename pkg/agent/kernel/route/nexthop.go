// SPDX-License-Identifier: Apache-2.0

package route

import (
	"net/netip"

	"calico-cni/pkg/netstate"
)

// table has, by destination, the IPv6 unicast routes that the kernel would have at a point of the plan.
type table map[netip.Prefix][]netstate.Route

func (t table) put(r netstate.Route) {
	if !r.Dest.Addr().Is6() {
		return
	}
	t.remove(keyOf(r))
	t[r.Dest] = append(t[r.Dest], r)
}

func (t table) remove(k key) {
	var others []netstate.Route
	for _, r := range t[k.dest] {
		if r.Metric != k.metric {
			others = append(others, r)
		}
	}
	t[k.dest] = others
}

// lookUp returns the route to an address: the longest destination, then the lowest metric.
func (t table) lookUp(a netip.Addr) (best netstate.Route, found bool) {
	for bits := a.BitLen(); bits >= 0; bits-- {
		for _, r := range t[netip.PrefixFrom(a, bits).Masked()] {
			if !found || r.Metric < best.Metric {
				best, found = r, true
			}
		}
		if found {
			return best, true
		}
	}
	return netstate.Route{}, false
}

// refused reports whether the kernel refuses a route because of its next hop: even with "onlink", an IPv6 next hop must
// not have a route through another link, other than the default route. The next hop of a block is in the block, so this
// happens when a block moves from one link to another.
func (t table) refused(want netstate.Route) bool {
	if !want.Via.Is6() {
		return false
	}
	r, found := t.lookUp(want.Via)
	return found && r.Dest.Bits() > 0 && r.Type == netstate.Unicast && r.Dev != want.Dev
}

// change plans a change of one route. If the kernel would refuse the next hop, a temporary route to the next hop alone
// makes it acceptable. The old route stays in force until it is replaced.
func (d *diff) change(c Change) {
	want := c.Route
	if !d.ipv6.refused(want) {
		d.plan.Changes = append(d.plan.Changes, c)
		d.ipv6.put(want)
		return
	}
	way := netstate.Route{
		Dest: netip.PrefixFrom(want.Via, want.Via.BitLen()), Type: netstate.Unicast, Dev: want.Dev, Metric: want.Metric,
		Protocol: netstate.ProtocolCalico,
	}
	verb := Add
	for _, i := range d.at(way) {
		if d.owner.Owns(d.routes[i]) {
			verb, d.keep[i] = Replace, true
		}
	}
	d.plan.Changes = append(d.plan.Changes,
		Change{Verb: verb, Route: way, For: want.Dest}, c,
		Change{Verb: Delete, Route: way, Found: Found{Route: way}, For: want.Dest})
	d.ipv6.put(want)
}
