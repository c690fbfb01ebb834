// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"net/netip"

	"calico-cni/pkg/agent/underlay"
	"calico-cni/pkg/routing"
)

// parents remembers the link that had an address of the node. A network manager that restarts may take the address off
// the link for a moment. Tunnels and routes stay meanwhile: without the link, the agent would remove them.
type parents struct{ known map[netip.Addr]string }

// find returns the link that has an address, or had it last and still exists.
func (p *parents) find(n *underlay.Network, addr netip.Addr) routing.Link {
	if l, ok := n.WithAddr(addr); ok {
		if p.known == nil {
			p.known = map[netip.Addr]string{}
		}
		p.known[addr] = l.Name
		return routing.Link{Name: l.Name, MTU: l.MTU}
	}
	l, _ := n.ByName(p.known[addr])
	return routing.Link{Name: l.Name, MTU: l.MTU}
}
