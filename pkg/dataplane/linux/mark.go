package linux

import (
	"bytes"
	"strings"

	"github.com/vishvananda/netlink"

	"calico-cni/pkg/dataplane"
)

// mark is the alias of a host interface: whose it is, and which of the owner's. The text is "<owner>/<ifName>".
type mark struct {
	owner, ifName string
}

func markOf(spec dataplane.Spec) mark { return mark{spec.Owner, spec.IfName} }

func (m mark) String() string { return m.owner + "/" + m.ifName }

// parseMark reads the mark of a host interface. An alias that holds no slash, as an older version of this data plane set
// it, or no alias, is none. Interface names have no slash, so the last one divides.
func parseMark(alias string) (mark, bool) {
	i := strings.LastIndexByte(alias, '/')
	if i < 1 || i == len(alias)-1 {
		return mark{}, false
	}
	return mark{alias[:i], alias[i+1:]}, true
}

// fits reports whether an alias is this mark, or what else a host interface of this owner may carry: nothing, as Calico's
// do, or the container ID alone, as an older version of this data plane set it.
func (m mark) fits(alias string) bool {
	return alias == "" || alias == m.String() || strings.HasSuffix(m.owner, "."+alias)
}

// isHostEnd reports whether a link may be the host's end of an attachment, ours or Calico's: one end of a pair, with the
// MAC address that they all have. The name does not count: its prefix may have been configured anew.
func isHostEnd(link netlink.Link) bool {
	return isPair(link) && bytes.Equal(link.Attrs().HardwareAddr, hostMAC)
}

func isPair(link netlink.Link) bool {
	switch link.(type) {
	case *netlink.Veth, *netlink.Netkit:
		return true
	}
	return false
}

// hostEndOf returns the host's end of the pair that a link of the pod is one end of, or nil when it is no such link.
func (p pair) hostEndOf(podLink netlink.Link) (netlink.Link, error) {
	if !isPair(podLink) {
		return nil, nil
	}
	peer, err := p.host.linkByIndex(podLink.Attrs().ParentIndex)
	if err != nil || peer == nil || !isHostEnd(peer) || peer.Attrs().ParentIndex != podLink.Attrs().Index {
		return nil, err
	}
	return peer, nil
}

// podEndOf returns the pod's end of the pair that a link of the host is one end of, or nil when that is not in this pod.
func (p pair) podEndOf(hostLink netlink.Link) (netlink.Link, error) {
	if !isHostEnd(hostLink) {
		return nil, nil
	}
	peer, err := p.pod.linkByIndex(hostLink.Attrs().ParentIndex)
	if err != nil || peer == nil || !isPair(peer) || peer.Attrs().ParentIndex != hostLink.Attrs().Index {
		return nil, err
	}
	return peer, nil
}
