// SPDX-License-Identifier: Apache-2.0

package ipamplugin

import (
	"net"

	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/pkg/invocation"
	"calico-cni/pkg/nodeipam"
)

// mainPlugin is the type of the main plugin that takes a Result, and programs none of its routes.
const mainPlugin = "calico"

// pointToPoint is the type of a main plugin that gives the host's end of each pair the gateway as its address, and
// takes no result without one. Blocks have no gateway, so it gets link-local ones: those of calico itself.
const pointToPoint = "ptp"

var (
	linkLocal4 = net.IPv4(169, 254, 1, 1)
	linkLocal6 = net.ParseIP("fe80::ecee:eeff:feee:eeee")
)

// resultFor is the result for a main plugin. One that programs the routes of a result gets none: the kernel rejects
// these for their host bits, and derives routes from the addresses itself.
func resultFor(g nodeipam.Grant, plugin string) *current.Result {
	r := invocation.Result(g)
	if plugin == "" || plugin == mainPlugin {
		return r
	}
	r.Routes = nil
	for _, ip := range r.IPs {
		switch {
		case plugin != pointToPoint:
		case ip.Address.IP.To4() != nil:
			ip.Gateway = linkLocal4
		default:
			ip.Gateway = linkLocal6
		}
	}
	return r
}
