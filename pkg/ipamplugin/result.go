// SPDX-License-Identifier: Apache-2.0

package ipamplugin

import (
	"net"

	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/pkg/invocation"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
)

// pointToPoint is the type of a main plugin that assigns the gateway to the host end of each pair and requires one.
// Blocks have no gateway, so it gets the link-local gateways that calico uses.
const pointToPoint = "ptp"

var (
	linkLocal4 = net.IPv4(169, 254, 1, 1)
	linkLocal6 = net.ParseIP("fe80::ecee:eeff:feee:eeee")
)

// resultFor returns the result for a main plugin. A main plugin that programs routes gets none: the kernel would reject
// them because of their host bits, and it derives routes from the addresses.
func resultFor(g nodeipam.Grant, conf *netconf.NetConf) *current.Result {
	r := invocation.Result(g)
	if !conf.OtherMainPlugin() {
		return r
	}
	r.Routes = nil
	for _, ip := range r.IPs {
		switch {
		case conf.Type != pointToPoint:
		case ip.Address.IP.To4() != nil:
			ip.Gateway = linkLocal4
		default:
			ip.Gateway = linkLocal6
		}
	}
	return r
}
