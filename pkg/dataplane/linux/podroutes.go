// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/pkg/dataplane"
)

// mostInterfaces bounds how many interfaces of a pod may have a route to the same destination, each with its own
// metric.
const mostInterfaces = 64

// These addresses represent the default route in a lookup, because the kernel does not look up the default route
// itself. They are from class E (RFC 1112, section 4) and the discard prefix (RFC 6666), which have no routes of their
// own.
var (
	anywhere4 = netip.MustParseAddr("240.0.0.1")
	anywhere6 = netip.MustParseAddr("100::1")
)

// podRoute is a route of the pod, with an address that only this route covers.
type podRoute struct {
	netlink.Route
	probe netip.Addr
}

// podRoutes returns the routes of the pod through the interface with that index.
func podRoutes(spec dataplane.Spec, index int) []podRoute {
	var routes []podRoute
	if uses4(spec) {
		routes = append(routes, podRoute{netlink.Route{
			LinkIndex: index, Dst: single(gateway4),
			Scope: netlink.SCOPE_LINK,
		}, gateway4})
	}
	destinations := spec.Routes
	if destinations == nil {
		destinations = []netip.Prefix{
			netip.PrefixFrom(netip.IPv4Unspecified(), 0),
			netip.PrefixFrom(netip.IPv6Unspecified(), 0),
		}
	}
	for _, to := range destinations {
		gateway, probe, uses := gateway4, anywhere4, uses4(spec)
		if to.Addr().Is6() {
			gateway, probe, uses = gateway6, anywhere6, uses6(spec)
		}
		if to.Bits() > 0 {
			probe = to.Addr()
		}
		if uses {
			routes = append(routes, podRoute{netlink.Route{
				LinkIndex: index, Dst: prefix(to.Addr(), to.Bits()),
				Gw: gateway.AsSlice(),
			}, probe})
		}
	}
	return routes
}

// addRoutes gives a route a higher metric if another interface of the pod has the same route, so that the existing
// one stays in use.
func (p *podSetup) addRoutes() error {
	for _, route := range podRoutes(p.spec, p.link.Attrs().Index) {
		route.Priority = p.ns.pod.nextMetric(route)
		err := p.ns.pod.RouteAdd(&route.Route)
		for tries := 1; errors.Is(err, unix.EEXIST) && tries < mostInterfaces; tries++ {
			route.Priority = max(route.Priority+1, firstMetric(route.probe)+1)
			err = p.ns.pod.RouteAdd(&route.Route)
		}
		if err != nil {
			return fmt.Errorf("add route %s to pod: %w", route.Dst, err)
		}
	}
	return nil
}

// nextMetric returns a metric above that of the pod's existing route to the same destination, or 0 (the kernel's
// default) if there is none.
func (s side) nextMetric(route podRoute) int {
	found, err := s.RouteGetWithOptions(route.probe.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	if err != nil || len(found) == 0 || !samePrefix(found[0].Dst, route.Dst) {
		return 0
	}
	return found[0].Priority + 1
}

// firstMetric returns the value that the kernel uses for metric 0: IPv6 has a default (IP6_RT_PRIO_USER).
func firstMetric(addr netip.Addr) int {
	if addr.Is6() {
		return 1024
	}
	return 0
}
