// SPDX-License-Identifier: Apache-2.0

package route

import (
	"fmt"
	"slices"

	"calico-cni/pkg/agent/kernel"
	"calico-cni/pkg/netstate"
)

// Diff returns what has to change. Routes on young links stay although nobody desires them. It has no effects.
func Diff(actual Actual, desired []netstate.Route, owner Ownership, young map[string]bool) kernel.Plan[Change] {
	d := newDiff(actual.Routes, owner)
	for _, want := range ordered(desired) {
		if reason := held(want, actual.Links); reason != "" {
			d.plan.Waiting = append(d.plan.Waiting, fmt.Sprintf("route %s: %s", want, reason))
			continue
		}
		d.converge(want)
	}
	for i, f := range actual.Routes {
		switch {
		case d.keep[i] || !owner.Owns(f):
		case young[f.Route.Dev]:
			d.plan.Waiting = append(d.plan.Waiting, fmt.Sprintf(
				"deletion of route %s: the interface is new, and its pod may not be known yet", f.Route))
		default:
			d.plan.Changes = append(d.plan.Changes, Change{Verb: Delete, Route: f.Route, Found: f})
		}
	}
	return d.plan
}

// diff is a comparison in progress.
type diff struct {
	routes []Found
	// first and next lead to all routes with a key that can be in the place of a desired one. They are indexes of routes
	// plus one; 0 ends the chain.
	first map[key]int
	next  []int
	// keep has the routes of the kernel that are desired or replaced.
	keep  []bool
	ipv6  table
	owner Ownership
	plan  kernel.Plan[Change]
}

func newDiff(routes []Found, owner Ownership) *diff {
	d := &diff{
		routes: routes, first: make(map[key]int, len(routes)), next: make([]int, len(routes)),
		keep: make([]bool, len(routes)), ipv6: table{}, owner: owner,
	}
	// Backwards, so that each chain is in the order of the kernel.
	for i := len(routes) - 1; i >= 0; i-- {
		if k := keyOf(routes[i].Route); routes[i].TOS == 0 {
			d.next[i], d.first[k] = d.first[k], i+1
			d.ipv6.put(routes[i].Route)
		}
	}
	return d
}

// at returns the indexes of the routes in the place of a route.
func (d *diff) at(r netstate.Route) (indexes []int) {
	for i := d.first[keyOf(r)]; i > 0; i = d.next[i-1] {
		indexes = append(indexes, i-1)
	}
	return indexes
}

// ordered returns the routes in the form in which the kernel returns them, long destinations first: a next hop may need
// its own route.
func ordered(desired []netstate.Route) []netstate.Route {
	all := make([]netstate.Route, 0, len(desired))
	for _, r := range desired {
		all = append(all, normal(r))
	}
	slices.SortStableFunc(all, func(a, b netstate.Route) int { return b.Dest.Bits() - a.Dest.Bits() })
	return all
}

// held returns why a route cannot be written now, "" if it can.
func held(want netstate.Route, links map[string]Link) string {
	if want.Type == netstate.Blackhole {
		return ""
	}
	l, exists := links[want.Dev]
	switch {
	case !exists:
		return fmt.Sprintf("link %s does not exist", want.Dev)
	case !l.Up:
		return fmt.Sprintf("link %s is down", want.Dev)
	}
	return ""
}

// converge brings one route to the desired state.
func (d *diff) converge(want netstate.Route) {
	for i := d.first[keyOf(want)]; i > 0; i = d.next[i-1] {
		if d.routes[i-1] == (Found{Route: want}) {
			d.keep[i-1] = true
			return
		}
	}
	there := d.at(want)
	for _, i := range there {
		if f := d.routes[i]; !d.owner.Owns(f) {
			d.plan.Faults = append(d.plan.Faults, fmt.Errorf("add route %s: another program has added %s: remove it "+
				"(ip route delete %s), or give it another metric", want, f, f.Route))
			return
		}
	}
	if len(there) == 0 {
		d.change(Change{Verb: Add, Route: want})
		return
	}
	// The kernel replaces the first route.
	d.keep[there[0]] = true
	d.change(Change{Verb: Replace, Route: want, Found: d.routes[there[0]]})
}
