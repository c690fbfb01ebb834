// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"fmt"
	"net/netip"
	"slices"

	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/pkg/netconf"
)

// PreviousAddrs returns the addresses of the attachment in prevResult. It returns nil if there is no valid prevResult.
func (c *Call) PreviousAddrs() []netip.Addr {
	previous, err := c.Conf.PrevResult()
	if err != nil {
		return nil
	}
	return AddrsOf(previous, c.ID.IfName, c.CNI.Netns)
}

// Previous returns the result that the runtime passes to a CHECK, or an error that wraps netconf.ErrInvalid.
func Previous(conf *netconf.NetConf) (*current.Result, error) {
	previous, err := conf.PrevResult()
	if err == nil && previous == nil {
		err = fmt.Errorf("%w: CHECK without prevResult: want the result of the ADD; the runtime sets it",
			netconf.ErrInvalid)
	}
	return previous, err
}

// AddrsOf returns the addresses of a container's interface in a result, IPv4 first. If several interfaces have the
// name, it uses the one in netns. IPAM plugins and old versions of the specification return addresses without an
// interface. These count only if the interface has no other addresses. Otherwise they are from an earlier plugin of the
// chain.
func AddrsOf(r *current.Result, ifName, netns string) []netip.Addr {
	if r == nil {
		return nil
	}
	inPod := interfaceOf(r, ifName, netns)
	var own, unassigned []netip.Addr
	for _, ip := range r.IPs {
		addr, ok := netip.AddrFromSlice(ip.Address.IP)
		switch i := ip.Interface; {
		case !ok:
		case i == nil || *i < 0 || *i >= len(r.Interfaces):
			unassigned = append(unassigned, addr.Unmap())
		case *i == inPod:
			own = append(own, addr.Unmap())
		}
	}
	if own == nil {
		own = unassigned
	}
	slices.SortStableFunc(own, func(x, y netip.Addr) int { return x.BitLen() - y.BitLen() })
	return own
}

// interfaceOf returns the index of a container's interface in a result, or -1 if there is none.
func interfaceOf(r *current.Result, ifName, netns string) int {
	in := func(sandbox string) int {
		return slices.IndexFunc(r.Interfaces, func(n *current.Interface) bool {
			return n != nil && n.Name == ifName && n.Sandbox != "" && (n.Sandbox == sandbox || sandbox == "")
		})
	}
	if i := in(netns); i >= 0 {
		return i
	}
	return in("")
}
