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
	d := diff{actual: map[key][]Found{}, keep: map[Found]bool{}, ipv6: table{}, owner: owner}
	for _, f := range actual.Routes {
		if k := keyOf(f.Route); f.TOS == 0 {
			d.actual[k] = append(d.actual[k], f)
			d.ipv6.put(f.Route)
		}
	}
	for _, want := range ordered(desired) {
		if reason := held(want, actual.Links); reason != "" {
			d.plan.Waiting = append(d.plan.Waiting, fmt.Sprintf("route %s: %s", want, reason))
			continue
		}
		d.converge(want)
	}
	for _, f := range actual.Routes {
		switch {
		case d.keep[f] || !owner.Owns(f):
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
	// actual has the routes that can be in the place of a desired one.
	actual map[key][]Found
	// keep has the routes of the kernel that are desired or replaced.
	keep  map[Found]bool
	ipv6  table
	owner Ownership
	plan  kernel.Plan[Change]
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
	there := d.actual[keyOf(want)]
	exact := Found{Route: want}
	if slices.Contains(there, exact) {
		d.keep[exact] = true
		return
	}
	for _, f := range there {
		if !d.owner.Owns(f) {
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
	d.change(Change{Verb: Replace, Route: want, Found: there[0]})
}
