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

// addRoutes is the last step, so that nothing reaches the pod before it is ready.
func (h *hostSetup) addRoutes() error {
	if h.spec.NoHostRoutes {
		return nil
	}
	for _, addr := range h.spec.Addrs {
		err := h.ns.host.RouteAdd(h.route(addr))
		if errors.Is(err, unix.EEXIST) {
			err = h.resolveConflict(addr)
		}
		if err == nil {
			err = h.verifyRoute(addr)
		}
		if err != nil {
			return fmt.Errorf("add host route to %s through %s: %w", addr, h.spec.HostIfName, err)
		}
	}
	return nil
}

func (h *hostSetup) route(addr netip.Addr) *netlink.Route {
	return &netlink.Route{LinkIndex: h.link.Attrs().Index, Dst: single(addr), Scope: netlink.SCOPE_LINK}
}

// verifyRoute fails if an address of the host, a routing rule or a route with a lower metric takes precedence over
// the route to the pod. The kernel reports none of these when the route is added.
func (h *hostSetup) verifyRoute(addr netip.Addr) error {
	c, err := h.ns.host.conflictAt(addr, h.link.Attrs().Index)
	if c != nil {
		return c
	}
	return err
}

// resolveConflict handles a route to addr that already exists. The route may lead to the pod, because the node agent
// may have added it first. A dead route is replaced. Any other route is kept.
func (h *hostSetup) resolveConflict(addr netip.Addr) error {
	there, refused := h.ns.host.lookUp(addr)
	if kind, ok := rejects(refused); ok {
		return h.replaceReject(addr, kind)
	}
	if there == nil {
		return hidden(addr)
	}
	if there.LinkIndex == h.link.Attrs().Index {
		return nil
	}
	holder, err := h.ns.host.linkByIndex(there.LinkIndex)
	if err != nil {
		return err
	}
	replaceable := there.Type == unix.RTN_UNICAST && there.Table == unix.RT_TABLE_MAIN
	if !replaceable || !isDead(*there, holder) {
		return conflict(addr, there, holder)
	}
	if err := h.ns.host.RouteReplace(h.route(addr)); err != nil {
		return fmt.Errorf("replace dead route: %w", err)
	}
	there.Flags = 0 // The kernel reports these flags, and rejects them in a request.
	h.undo.Push(func(context.Context) error {
		err := h.ns.host.RouteReplace(there)
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
func (h *hostSetup) replaceReject(addr netip.Addr, kind int) error {
	reject := &netlink.Route{Dst: single(addr), Type: kind, Table: unix.RT_TABLE_MAIN, Scope: netlink.SCOPE_NOWHERE}
	if addr.Is6() {
		lo, err := h.ns.host.linkByName("lo")
		if err != nil || lo == nil {
			return errors.Join(err, hidden(addr))
		}
		reject.LinkIndex, reject.Priority = lo.Attrs().Index, firstMetric(addr)
	}
	err := h.ns.host.RouteDel(reject)
	if errors.Is(err, unix.ESRCH) {
		return hidden(addr)
	}
	if err != nil {
		return fmt.Errorf("delete rejecting route: %w", err)
	}
	h.undo.Push(func(context.Context) error {
		back := *reject
		back.LinkIndex, back.Scope = 0, netlink.SCOPE_UNIVERSE
		return h.ns.host.RouteReplace(&back)
	})
	return h.ns.host.RouteAdd(h.route(addr))
}
