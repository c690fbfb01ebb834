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

// addHostRoutes comes last: nothing reaches the pod before it is ready.
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

// verifyHostRoute fails if something takes precedence over the route to the pod: an address of the host, a routing
// rule, or a route of a lower metric. The kernel reports none of these when the route is added.
func (s *setup) verifyHostRoute(addr netip.Addr) error {
	c, err := s.ns.host.conflictAt(addr, s.hostLink.Attrs().Index)
	if c != nil {
		return c
	}
	return err
}

// resolveConflict is asked when a route to addr is there already. It may lead to the pod: the node agent may be faster. One that
// leads nowhere is replaced; any other stays.
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
	there.Flags = 0 // What they say is the kernel's to find out; it takes them from nobody.
	s.undo.Push(func(context.Context) error {
		err := s.ns.host.RouteReplace(there)
		if holderIsGone := errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENETDOWN); holderIsGone {
			return nil
		}
		return err
	})
	return nil
}

// isDead reports whether packets for a route's destination have nowhere to go. A route of several next hops is none of a pod's, and alive.
func isDead(route netlink.Route, holder netlink.Link) bool {
	if len(route.MultiPath) > 0 {
		return false
	}
	return holder == nil || route.Flags&(unix.RTNH_F_DEAD|unix.RTNH_F_LINKDOWN) != 0 ||
		holder.Attrs().RawFlags&unix.IFF_UP == 0 || holder.Attrs().RawFlags&unix.IFF_LOWER_UP == 0
}

// hidden is the conflict with a route that exists but that a lookup does not find, because a routing rule refuses
// packets or leads to another table first.
func hidden(addr netip.Addr) *dataplane.RouteConflictError {
	route := single(addr).String() + ", hidden by a routing rule"
	return &dataplane.RouteConflictError{Addr: addr, Cause: dataplane.Refusal, Route: route}
}

// rejects returns the type of the route that makes the kernel answer a lookup with that error.
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

// replaceReject puts ours in the place of the route that refuses packets for exactly this address. The lookup does not tell
// it from a wider one; its deletion by prefix and type does. For IPv6 the kernel compares no type there, but all that refuse
// are on the loopback interface, and no other route of the main table is.
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
		return fmt.Errorf("delete route that refuses: %w", err)
	}
	s.undo.Push(func(context.Context) error {
		back := *reject
		back.LinkIndex, back.Scope = 0, netlink.SCOPE_UNIVERSE
		return s.ns.host.RouteReplace(&back)
	})
	return s.ns.host.RouteAdd(s.hostRoute(addr))
}
