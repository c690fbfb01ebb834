package linux

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// createPair makes the pair with one request: each end is created in its own namespace under its final name, so
// no other program of the host ever sees the pod's end, and no end can be left on the wrong side. The host's end has
// the mark from the start, as its group.
func (s *setup) createPair(context.Context) error {
	var err error
	if s.hostLink, err = s.addPair(); err != nil {
		return fmt.Errorf("create pair %s, %s: %w", s.spec.IfName, s.spec.HostIfName, err)
	}
	s.undo.Push(func(context.Context) error {
		link, err := s.ns.pod.linkByName(s.spec.IfName)
		if err != nil || link == nil {
			return err
		}
		return s.ns.pod.deleteLink(link)
	})
	if s.podLink, err = s.ns.pod.LinkByName(s.spec.IfName); err != nil {
		return fmt.Errorf("look up interface %s: %w", s.spec.IfName, err)
	}
	if s.hostLink.Attrs().Index == 0 {
		return fmt.Errorf("look up interface %s: it was removed right after it was created", s.spec.HostIfName)
	}
	return nil
}

// addPair returns the host's end with its index, which is 0 when that end was gone before it could be looked up.
func (s *setup) addPair() (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = s.spec.HostIfName, s.spec.MTU, hostMAC
	attrs.Group = markOf(s.spec).group()
	if s.spec.Netkit {
		netkit := s.netkit(attrs)
		// Which is what a kernel without netkit says (CONFIG_NETKIT, since 6.7).
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

// netkit makes the host's end the primary, which is the one that programs may be attached to for both. It passes on
// what no program decides about, and clears what a packet carries of the namespace that it leaves, as veth does. Packets
// wait in no queue of it, so that Queues has no meaning.
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
