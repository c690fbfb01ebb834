// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/pkg/dataplane"
)

// addHostRoutes is the last step, so that nothing reaches the pod before it is ready.
func (s *setup) addHostRoutes(context.Context) error {
	if s.spec.NoHostRoutes {
		return nil
	}
	for _, addr := range s.spec.Addrs {
		err := s.ns.host.RouteAdd(s.hostRoute(addr))
		if errors.Is(err, unix.EEXIST) {
			err = s.resolveConflict(addr)
		}
		if err == nil {
			err = s.verifyHostRoute(addr)
		}
		if err != nil {
			return fmt.Errorf("add host route to %s through %s: %w", addr, s.spec.HostIfName, err)
		}
	}
	return nil
}

func (s *setup) hostRoute(addr netip.Addr) *netlink.Route {
	return &netlink.Route{LinkIndex: s.hostLink.Attrs().Index, Dst: single(addr), Scope: netlink.SCOPE_LINK}
}

// verifyHostRoute fails if an address of the host, a routing rule or a route with a lower metric takes precedence over
// the route to the pod. The kernel reports none of these when the route is added.
func (s *setup) verifyHostRoute(addr netip.Addr) error {
	c, err := s.ns.host.conflictAt(addr, s.hostLink.Attrs().Index)
	if c != nil {
		return c
	}
	return err
}

// resolveConflict handles a route to addr that already exists. The route may lead to the pod, because the node agent
// may have added it first. A dead route is replaced. Any other route is kept.
func (s *setup) resolveConflict(addr netip.Addr) error {
	there, refused := s.ns.host.lookUp(addr)
	if kind, ok := rejects(refused); ok {
		return s.replaceReject(addr, kind)
	}
	if there == nil {
		return hidden(addr)
	}
	if there.LinkIndex == s.hostLink.Attrs().Index {
		return nil
	}
	holder, err := s.ns.host.linkByIndex(there.LinkIndex)
	if err != nil {
		return err
	}
	replaceable := there.Type == unix.RTN_UNICAST && there.Table == unix.RT_TABLE_MAIN
	if !replaceable || !isDead(*there, holder) {
		return conflict(addr, there, holder)
	}
	if err := s.ns.host.RouteReplace(s.hostRoute(addr)); err != nil {
		return fmt.Errorf("replace dead route: %w", err)
	}
	there.Flags = 0 // The kernel sets these flags itself; it rejects them in a request.
	s.undo.Push(func(context.Context) error {
		err := s.ns.host.RouteReplace(there)
		if holderIsGone := errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENETDOWN); holderIsGone {
			return nil
		}
		return err
	})
	return nil
}

// isDead reports whether a route leads nowhere. A route with several next hops is never a pod's route, and counts as
// alive.
func isDead(route netlink.Route, holder netlink.Link) bool {
	if len(route.MultiPath) > 0 {
		return false
	}
	return holder == nil || route.Flags&(unix.RTNH_F_DEAD|unix.RTNH_F_LINKDOWN) != 0 ||
		holder.Attrs().RawFlags&unix.IFF_UP == 0 || holder.Attrs().RawFlags&unix.IFF_LOWER_UP == 0
}

// hidden describes a route that exists but that a lookup does not find, because a routing rule rejects packets or
// selects another table first.
func hidden(addr netip.Addr) *dataplane.RouteConflictError {
	route := single(addr).String() + ", hidden by a routing rule"
	return &dataplane.RouteConflictError{Addr: addr, Cause: dataplane.Refusal, Route: route}
}

// rejects returns the type of the route that makes the kernel answer a lookup with err.
func rejects(err error) (kind int, ok bool) {
	switch {
	case errors.Is(err, unix.EINVAL):
		return unix.RTN_BLACKHOLE, true
	case errors.Is(err, unix.EHOSTUNREACH):
		return unix.RTN_UNREACHABLE, true
	case errors.Is(err, unix.EACCES):
		return unix.RTN_PROHIBIT, true
	}
	return 0, false
}

// replaceReject replaces a route that rejects packets for exactly this address. A lookup cannot distinguish such a
// route from a wider one; a deletion by prefix and type can. For IPv6 the kernel ignores the type, but all rejecting
// routes are on the loopback interface, and the main table has no other routes there.
func (s *setup) replaceReject(addr netip.Addr, kind int) error {
	reject := &netlink.Route{Dst: single(addr), Type: kind, Table: unix.RT_TABLE_MAIN, Scope: netlink.SCOPE_NOWHERE}
	if addr.Is6() {
		lo, err := s.ns.host.linkByName("lo")
		if err != nil || lo == nil {
			return errors.Join(err, hidden(addr))
		}
		reject.LinkIndex, reject.Priority = lo.Attrs().Index, firstMetric(addr)
	}
	err := s.ns.host.RouteDel(reject)
	if errors.Is(err, unix.ESRCH) {
		return hidden(addr)
	}
	if err != nil {
		return fmt.Errorf("delete rejecting route: %w", err)
	}
	s.undo.Push(func(context.Context) error {
		back := *reject
		back.LinkIndex, back.Scope = 0, netlink.SCOPE_UNIVERSE
		return s.ns.host.RouteReplace(&back)
	})
	return s.ns.host.RouteAdd(s.hostRoute(addr))
}
