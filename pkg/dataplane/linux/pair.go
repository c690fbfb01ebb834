// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// createPair creates the pair with one request. Each end is created in its own namespace under its final name, so no
// other program on the host sees the pod's end, and no end can remain in the wrong namespace. The host's end has the
// mark from the start, as its group.
func (s *setup) createPair() error {
	var err error
	if s.host.link, err = s.addPair(); err != nil {
		return fmt.Errorf("create pair %s, %s: %w", s.spec.IfName, s.spec.HostIfName, err)
	}
	s.undo.Push(func(context.Context) error {
		link, err := s.ns.pod.linkByName(s.spec.IfName)
		if err != nil || link == nil {
			return err
		}
		return s.ns.pod.deleteLink(link)
	})
	if s.pod.link, err = s.ns.pod.LinkByName(s.spec.IfName); err != nil {
		return fmt.Errorf("look up interface %s: %w", s.spec.IfName, err)
	}
	if s.host.link.Attrs().Index == 0 {
		return fmt.Errorf("look up interface %s: another program removed it after its creation", s.spec.HostIfName)
	}
	return nil
}

// addPair returns the host's end with its index. The index is 0 if the host's end was gone before it could be looked
// up.
func (s *setup) addPair() (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = s.spec.HostIfName, s.spec.MTU, hostMAC
	attrs.Group = markOf(s.spec).group()
	if s.spec.Netkit {
		netkit := s.netkit(attrs)
		// A kernel without netkit (CONFIG_NETKIT, since 6.7) returns EOPNOTSUPP.
		if err := s.ns.host.LinkAdd(netkit); !errors.Is(err, unix.EOPNOTSUPP) {
			return netkit, err
		}
	}
	veth := s.veth(attrs)
	return veth, s.ns.host.LinkAdd(veth)
}

func (s *setup) veth(attrs netlink.LinkAttrs) *netlink.Veth {
	queues := max(s.spec.Queues, 1)
	attrs.NumTxQueues, attrs.NumRxQueues = queues, queues
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerMTU, veth.PeerHardwareAddr = s.spec.IfName, uint32(s.spec.MTU), s.spec.MAC
	veth.PeerNumTxQueues, veth.PeerNumRxQueues = uint32(queues), uint32(queues)
	veth.PeerNamespace = netlink.NsFd(s.ns.pod.ns)
	return veth
}

// netkit makes the host's end the primary, to which programs for both ends can be attached. Without a program, packets
// pass. Like veth, it clears the data that a packet carries from the namespace that it leaves. A netkit has no packet
// queue, so Queues has no effect.
func (s *setup) netkit(attrs netlink.LinkAttrs) *netlink.Netkit {
	peer := netlink.NewLinkAttrs()
	peer.Name, peer.MTU, peer.HardwareAddr = s.spec.IfName, s.spec.MTU, s.spec.MAC
	peer.Namespace = netlink.NsFd(s.ns.pod.ns)
	link := &netlink.Netkit{
		LinkAttrs: attrs, Mode: netlink.NETKIT_MODE_L2,
		Policy: netlink.NETKIT_POLICY_FORWARD, PeerPolicy: netlink.NETKIT_POLICY_FORWARD,
		Scrub: netlink.NETKIT_SCRUB_DEFAULT, PeerScrub: netlink.NETKIT_SCRUB_DEFAULT,
	}
	link.SetPeerAttrs(&peer)
	return link
}
