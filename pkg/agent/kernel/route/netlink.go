// SPDX-License-Identifier: Apache-2.0

package route

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/pkg/agent/kernel/rtnl"
	"calico-cni/pkg/netstate"
)

// Netlink is the kernel of a network namespace.
type Netlink struct {
	handle *netlink.Handle
	// links has the links of the last Read. A write to a link that has been created again since fails.
	links map[string]Link
	// routes is the number of routes at the last Read.
	routes int
}

// Open opens the network namespace of the calling thread. The caller closes it.
func Open() (*Netlink, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	// The kernel then returns the main table only. Older kernels return all, and the listing below skips the others.
	_ = handle.SetStrictCheck(true)
	return &Netlink{handle: handle}, nil
}

// Close closes the sockets.
func (n *Netlink) Close() { n.handle.Close() }

// Read returns all links, and the routes of the main table.
func (n *Netlink) Read() (Actual, error) {
	links, err := rtnl.Dump(n.handle.LinkList)
	if err != nil {
		return Actual{}, fmt.Errorf("list links: %w", err)
	}
	actual, names := Actual{Links: map[string]Link{}}, map[int]string{}
	for _, l := range links {
		a := l.Attrs()
		names[a.Index] = a.Name
		actual.Links[a.Name] = Link{Index: a.Index, Up: a.Flags&net.FlagUp != 0}
	}
	actual.Routes, err = rtnl.Dump(func() ([]Found, error) { return n.list(names) })
	if err != nil {
		return Actual{}, fmt.Errorf("list routes: %w", err)
	}
	n.links, n.routes = actual.Links, len(actual.Routes)
	return actual, nil
}

// list returns the routes of the main table.
func (n *Netlink) list(names map[int]string) ([]Found, error) {
	// A little more than at the last time.
	all := make([]Found, 0, n.routes+n.routes/8)
	main := &netlink.Route{Table: unix.RT_TABLE_MAIN}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		err := n.handle.RouteListFilteredIter(family, main, netlink.RT_FILTER_TABLE, func(r netlink.Route) bool {
			all = append(all, found(r, names))
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// found returns a route of the netlink package.
func found(r netlink.Route, names map[int]string) Found {
	f := Found{TOS: r.Tos, Route: netstate.Route{
		Dest: rtnl.Prefix(r.Dst, r.Family), Type: typeOf(r.Type), Dev: names[r.LinkIndex], Via: rtnl.Addr(r.Gw),
		OnLink: r.Flags&unix.RTNH_F_ONLINK != 0, Src: rtnl.Addr(r.Src), MTU: r.MTU, Metric: r.Priority,
		Protocol: int(r.Protocol),
	}}
	if r.Type == unix.RTN_BLACKHOLE {
		// The kernel shows lo for IPv6.
		f.Route.Dev = ""
	}
	f.Other = others(r)
	return f
}

// others names the properties of a route that the agent never sets.
func others(r netlink.Route) string {
	var names []string
	add := func(set bool, name string) {
		if set {
			names = append(names, name)
		}
	}
	add(len(r.MultiPath) > 0, "multipath")
	add(r.Encap != nil, "encap")
	add(r.Via != nil, "next hop of another family")
	add(r.MTULock || r.Window|r.Rtt|r.RttVar|r.Ssthresh|r.Cwnd|r.AdvMSS|r.Reordering|r.Hoplimit|r.InitCwnd|r.Features|
		r.RtoMin|r.InitRwnd|r.QuickACK|r.FastOpenNoCookie != 0 || r.Congctl != "", "metrics")
	add(r.Family == netlink.FAMILY_V4 && r.Type == unix.RTN_UNICAST && r.Scope != scopeOf(r), "scope "+r.Scope.String())
	return strings.Join(names, ", ")
}

// scopeOf returns the scope that the agent gives to an IPv4 route.
func scopeOf(r netlink.Route) netlink.Scope {
	if r.Type == unix.RTN_UNICAST && r.Gw == nil && len(r.MultiPath) == 0 {
		return netlink.SCOPE_LINK
	}
	return netlink.SCOPE_UNIVERSE
}

// Write makes a change.
func (n *Netlink) Write(c Change) error {
	if c.Verb == Delete {
		return n.remove(c.Found)
	}
	r, err := n.route(c.Route)
	if err != nil {
		return err
	}
	if c.Verb == Replace {
		return n.handle.RouteReplace(r)
	}
	return n.handle.RouteAdd(r)
}

// remove deletes a route. It succeeds if the route is already gone.
func (n *Netlink) remove(f Found) error {
	want := f.Route
	if f.Other != "" {
		// Destination, metric and protocol are enough. The next hops could not be described.
		want.Via, want.Dev, want.OnLink, want.Src, want.MTU = netstate.Route{}.Via, "", false, netstate.Route{}.Src, 0
	}
	r, err := n.route(want)
	if rtnl.IsGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	r.Tos, r.Scope, r.Flags = f.TOS, netlink.SCOPE_NOWHERE, 0
	err = n.handle.RouteDel(r)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// route returns a route in the form of the netlink package.
func (n *Netlink) route(want netstate.Route) (*netlink.Route, error) {
	r := &netlink.Route{
		Dst: rtnl.IPNet(want.Dest), Type: typeNumber(want.Type), Gw: rtnl.IP(want.Via), Src: rtnl.IP(want.Src),
		MTU: want.MTU, Priority: want.Metric, Protocol: netlink.RouteProtocol(want.Protocol), Table: unix.RT_TABLE_MAIN,
	}
	if want.OnLink {
		r.Flags = unix.RTNH_F_ONLINK
	}
	r.Scope = scopeOf(*r)
	if want.Dev == "" {
		return r, nil
	}
	if l, known := n.links[want.Dev]; known {
		r.LinkIndex = l.Index
		return r, nil
	}
	link, err := n.handle.LinkByName(want.Dev)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", want.Dev, err)
	}
	r.LinkIndex = link.Attrs().Index
	return r, nil
}

// types are the types of routes with their numbers.
var types = map[int]netstate.RouteType{
	unix.RTN_UNICAST: netstate.Unicast, unix.RTN_BLACKHOLE: netstate.Blackhole,
	unix.RTN_UNREACHABLE: "unreachable", unix.RTN_PROHIBIT: "prohibit", unix.RTN_THROW: "throw",
}

func typeOf(number int) netstate.RouteType {
	if t, known := types[number]; known {
		return t
	}
	return netstate.RouteType(fmt.Sprint(number))
}

func typeNumber(t netstate.RouteType) int {
	for number, name := range types {
		if name == t {
			return number
		}
	}
	return unix.RTN_UNICAST
}
