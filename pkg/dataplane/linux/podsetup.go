// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/undo"
	"calico-cni/pkg/dataplane"
)

// podSetup configures the pod's network namespace and the pod's end of the pair.
type podSetup struct {
	spec    dataplane.Spec
	sysctls sysctlTree
	ns      pair
	undo    *undo.Stack
	link    netlink.Link // Set once the pair exists.
}

// setSysctls runs before the pair is created. The pair inherits conf/default, so its link-local address is never
// tentative.
func (p *podSetup) setSysctls() error {
	wanted := podSysctls(p.spec)
	return p.ns.inPod(func() error {
		before, err := p.sysctls.read(wanted)
		if err != nil {
			return err
		}
		// The undo writes in the same order: a write to conf/all also changes conf/default and conf/lo, which follow it.
		p.undo.Push(func(context.Context) error {
			return p.ns.inPod(func() error { return p.sysctls.set(before) })
		})
		return p.sysctls.set(wanted)
	})
}

func (p *podSetup) addAddrs() error {
	for _, a := range p.spec.Addrs {
		addr := &netlink.Addr{IPNet: single(a)}
		if a.Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := p.ns.pod.AddrAdd(p.link, addr); err != nil {
			return fmt.Errorf("add address %s to %s: %w", a, p.spec.IfName, explainIPv6(err, p.spec.IfName))
		}
	}
	return nil
}

// addNeighbours adds permanent neighbour entries for the gateways, so that the first packet does not wait for ARP or
// neighbour discovery. It also covers a host without a route to 169.254.1.1, which does not answer ARP for it.
func (p *podSetup) addNeighbours() error {
	var gateways []netip.Addr
	if uses4(p.spec) {
		gateways = append(gateways, gateway4)
	}
	if uses6(p.spec) {
		gateways = append(gateways, gateway6)
	}
	for _, gateway := range gateways {
		err := p.ns.pod.NeighSet(&netlink.Neigh{
			LinkIndex:    p.link.Attrs().Index,
			State:        netlink.NUD_PERMANENT,
			IP:           gateway.AsSlice(),
			HardwareAddr: hostMAC,
		})
		if err != nil {
			return fmt.Errorf("add neighbour %s to pod: %w", gateway, err)
		}
	}
	return nil
}
