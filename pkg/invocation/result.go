// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"net"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/pkg/nodeipam"
)

// Result returns the result of an IPAM plugin for a grant: no interfaces, and a route for each address. The prefix
// length of an address is that of its block, or that of a host for a requested address.
func Result(g nodeipam.Grant) *current.Result {
	r := &current.Result{CNIVersion: current.ImplementedSpecVersion}
	for _, got := range g.Assigned {
		bits := got.Block.Bits()
		if slices.Contains(g.Requested, got.Addr) {
			bits = got.Addr.BitLen()
		}
		address := ipNet(netip.PrefixFrom(got.Addr, bits))
		r.IPs = append(r.IPs, &current.IPConfig{Address: address})
		r.Routes = append(r.Routes, &types.Route{Dst: address})
	}
	return r
}

func ipNet(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
