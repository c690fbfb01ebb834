// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/pkg/dataplane"
)

// conflictAt asks the kernel which route it uses for packets to addr, across all routing rules and tables. It returns
// nil if the route leads to the interface with that index.
func (s side) conflictAt(addr netip.Addr, index int) (*dataplane.RouteConflictError, error) {
	routes, err := s.RouteGetWithOptions(addr.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	switch {
	case errors.Is(err, unix.ENETUNREACH):
		return &dataplane.RouteConflictError{Addr: addr, Cause: dataplane.NoRoute, Route: "none"}, nil
	case err != nil:
		if _, ok := rejects(err); ok {
			refused := "refused: " + err.Error()
			return &dataplane.RouteConflictError{Addr: addr, Cause: dataplane.Refusal, Route: refused}, nil
		}
		return nil, fmt.Errorf("look up route to %s: %w", addr, err)
	case len(routes) == 0:
		return &dataplane.RouteConflictError{Addr: addr, Cause: dataplane.NoRoute, Route: "none"}, nil
	}
	route := routes[0]
	if route.Type == unix.RTN_UNICAST && route.LinkIndex == index {
		return nil, nil
	}
	holder, err := s.linkByIndex(route.LinkIndex)
	if err != nil {
		return nil, err
	}
	c := conflict(addr, &route, holder)
	if c.Cause == dataplane.RoutingRule && isAgentDevice(c.HostIfName) {
		return nil, nil
	}
	return c, nil
}

// isAgentDevice reports whether a device belongs to the node agent, such as wireguard.cali. The agent routes the blocks
// of other nodes to this device in a separate table. If this node borrows an address from such a block, the agent
// excludes the address once it learns of the pod.
func isAgentDevice(name string) bool {
	return strings.HasSuffix(name, ".cali") || strings.HasSuffix(name, ".calico")
}

// conflict describes a route of the host that does not lead to the pod. The holder is the route's interface, or nil.
func conflict(addr netip.Addr, route *netlink.Route, holder netlink.Link) *dataplane.RouteConflictError {
	c := &dataplane.RouteConflictError{Addr: addr, Cause: causeOf(addr, route)}
	if holder != nil {
		c.HostIfName = holder.Attrs().Name
		if m, ok := parseMark(holder.Attrs().Alias); ok && isHostEnd(holder) {
			c.Owner = m.owner
		}
	}
	c.Route = describe(route, c.HostIfName)
	return c
}

func causeOf(addr netip.Addr, route *netlink.Route) dataplane.Cause {
	switch {
	case route.Type != unix.RTN_UNICAST:
		return dataplane.OwnAddress
	case samePrefix(route.Dst, single(addr)):
		return dataplane.OtherInterface
	case route.Table == unix.RT_TABLE_MAIN:
		return dataplane.NoRoute
	}
	return dataplane.RoutingRule
}

// describe formats a route as iproute2 does, always with its table.
func describe(route *netlink.Route, device string) string {
	words := []string{}
	switch route.Type {
	case unix.RTN_LOCAL:
		words = append(words, "local")
	case unix.RTN_BROADCAST:
		words = append(words, "broadcast")
	case unix.RTN_ANYCAST:
		words = append(words, "anycast")
	}
	if route.Dst == nil {
		words = append(words, "default")
	} else {
		words = append(words, route.Dst.String())
	}
	if device != "" {
		words = append(words, "dev", device)
	}
	words = append(words, "table", tableName(route), "proto", fmt.Sprint(int(route.Protocol)))
	if route.Priority != 0 {
		words = append(words, "metric", fmt.Sprint(route.Priority))
	}
	return strings.Join(words, " ")
}

// tableName returns the name or number of a route's table. Without routing rules the kernel stores local and main as
// one table, and a lookup reports it as main; a route of a type other than unicast is in local.
func tableName(route *netlink.Route) string {
	switch {
	case route.Table == unix.RT_TABLE_LOCAL, route.Table == unix.RT_TABLE_MAIN && route.Type != unix.RTN_UNICAST:
		return "local"
	case route.Table == unix.RT_TABLE_MAIN:
		return "main"
	}
	return fmt.Sprint(route.Table)
}
