// SPDX-License-Identifier: Apache-2.0

package fake

import (
	"slices"

	"golang.org/x/sys/unix"

	"calico-cni/pkg/agent/kernel/route"
	"calico-cni/pkg/netstate"
)

// Routes is the part of the kernel that the route driver uses.
type Routes struct{ k *Kernel }

// Routes returns the part of the kernel that the route driver uses.
func (k *Kernel) Routes() Routes { return Routes{k} }

// Read returns all links and routes.
func (r Routes) Read() (route.Actual, error) {
	actual := route.Actual{Links: map[string]route.Link{}, Routes: slices.Clone(r.k.routes)}
	for name, d := range r.k.links {
		actual.Links[name] = route.Link{Index: d.index, Up: d.found.Up}
	}
	return actual, nil
}

// Write makes a change.
func (r Routes) Write(c route.Change) error {
	if c.Verb == route.Delete {
		i := slices.Index(r.k.routes, c.Found)
		if i < 0 {
			return unix.ESRCH
		}
		r.k.routes = slices.Delete(r.k.routes, i, i+1)
		return nil
	}
	want := c.Route
	if want.Dest.Addr().Is6() && want.Metric == 0 {
		want.Metric = 1024
	}
	if err := r.accepts(want); err != nil {
		return err
	}
	i := slices.IndexFunc(r.k.routes, func(f route.Found) bool {
		return f.TOS == 0 && f.Route.Dest == want.Dest && f.Route.Metric == want.Metric
	})
	switch {
	case i < 0:
		r.k.routes = append(r.k.routes, route.Found{Route: want})
	case c.Verb == route.Add:
		return unix.EEXIST
	default:
		r.k.routes[i] = route.Found{Route: want}
	}
	return nil
}

// accepts returns the error of a route that the kernel refuses.
func (r Routes) accepts(want netstate.Route) error {
	if want.Dest != want.Dest.Masked() {
		return unix.EINVAL
	}
	if want.Type != netstate.Unicast {
		return nil
	}
	d := r.k.links[want.Dev]
	switch {
	case d == nil:
		return unix.ENODEV
	case !d.found.Up:
		return unix.ENETDOWN
	case want.Src.IsValid() && !r.k.isLocal(want.Src):
		return unix.EINVAL
	case want.Via.IsValid() && r.k.isLocal(want.Via):
		return unix.EINVAL
	case want.Via.IsValid() && !want.OnLink && !r.reaches(want):
		return unix.ENETUNREACH
	case want.Via.Is6() && want.OnLink && r.leadsElsewhere(want):
		return unix.EINVAL
	}
	return nil
}

// reaches reports whether a next hop is directly reachable through its link.
func (r Routes) reaches(want netstate.Route) bool {
	return slices.ContainsFunc(r.k.routes, func(f route.Found) bool {
		return f.Route.Dev == want.Dev && !f.Route.Via.IsValid() && f.Route.Dest.Contains(want.Via)
	})
}

// leadsElsewhere reports whether the kernel would send packets for an IPv6 next hop through another link. The default
// route does not count.
func (r Routes) leadsElsewhere(want netstate.Route) bool {
	var best netstate.Route
	for _, f := range r.k.routes {
		c := f.Route
		if c.Dest.Contains(want.Via) && c.Dest.Bits() > 0 && (!best.Dest.IsValid() || c.Dest.Bits() > best.Dest.Bits() ||
			c.Dest.Bits() == best.Dest.Bits() && c.Metric < best.Metric) {
			best = c
		}
	}
	return best.Type == netstate.Unicast && best.Dev != want.Dev
}
