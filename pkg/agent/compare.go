// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/netstate"
	"calico-cni/pkg/routing"
)

// sortState gives equal states the same order, so that drivers can be skipped whose part has not changed.
func sortState(s *netstate.State) {
	slices.SortFunc(s.Devices, func(a, b netstate.Device) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Neighbours, func(a, b netstate.Neighbour) int {
		return cmp.Or(a.Addr.Compare(b.Addr), strings.Compare(a.Dev, b.Dev))
	})
	slices.SortFunc(s.FDB, func(a, b netstate.FDBEntry) int {
		return cmp.Or(a.Dst.Compare(b.Dst), slices.Compare(a.MAC[:], b.MAC[:]), strings.Compare(a.Dev, b.Dev))
	})
	slices.SortFunc(s.Routes, func(a, b netstate.Route) int {
		return cmp.Or(a.Dest.Compare(b.Dest), cmp.Compare(a.Metric, b.Metric))
	})
}

// never says that a driver always runs.
func never(Desired, Desired) bool { return false }

func sameDevices(a, b Desired) bool { return slices.Equal(a.State.Devices, b.State.Devices) }

func sameNeighbours(a, b Desired) bool {
	return slices.Equal(a.State.Neighbours, b.State.Neighbours) && slices.Equal(a.State.FDB, b.State.FDB)
}

func sameRoutes(a, b Desired) bool {
	return slices.Equal(a.State.Routes, b.State.Routes) && a.Config.Routes == b.Config.Routes &&
		slices.Equal(a.Config.Interfaces.Prefixes, b.Config.Interfaces.Prefixes)
}

func sameEndpoints(a, b Desired) bool {
	return a.Config.IPForwarding == b.Config.IPForwarding && a.Config.IPv6 == b.Config.IPv6 &&
		slices.EqualFunc(a.Endpoints, b.Endpoints, func(x, y routing.Endpoint) bool {
			return x.Interface == y.Interface && x.Index == y.Index && slices.Equal(x.Addrs, y.Addrs)
		})
}

func sameMTU(a, b Desired) bool { return a.MTU.Pods == b.MTU.Pods && a.Config.MTU == b.Config.MTU }

// sortEndpoints sorts endpoints by their interfaces.
func sortEndpoints(all []routing.Endpoint) {
	slices.SortFunc(all, func(a, b routing.Endpoint) int {
		return cmp.Or(strings.Compare(a.Interface, b.Interface), slices.CompareFunc(a.Addrs, b.Addrs, netip.Addr.Compare))
	})
}
