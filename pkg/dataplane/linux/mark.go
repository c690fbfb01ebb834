// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"hash/fnv"
	"strings"

	"github.com/vishvananda/netlink"

	"calico-cni/pkg/dataplane"
)

// mark identifies the attachment that a host interface belongs to. The interface carries it as its alias,
// "<owner>/<ifName>".
type mark struct {
	owner, ifName string
}

func markOf(spec dataplane.Spec) mark { return mark{spec.Handle, spec.IfName} }

func (m mark) String() string { return m.owner + "/" + m.ifName }

// parseMark reads the mark of a host interface. It returns false if there is no alias, or another program has set it.
// Interface names contain no slash, so the last slash separates the two parts.
func parseMark(alias string) (mark, bool) {
	i := strings.LastIndexByte(alias, '/')
	if i < 1 || i == len(alias)-1 {
		return mark{}, false
	}
	return mark{alias[:i], alias[i+1:]}, true
}

// groupMark is set in each device group that represents a mark. Groups that administrators choose are small numbers.
const groupMark = 1 << 30

// group returns the device group that represents the mark until the alias is set. The kernel accepts a group, but no
// alias, in the request that creates an interface. So a crash between the two requests leaves no unmarked interface.
func (m mark) group() uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(m.String()))
	return groupMark | h.Sum32()&(groupMark-1)
}

// isOn reports whether a host interface carries the mark, as its alias or its group.
func (m mark) isOn(hostLink netlink.Link) bool {
	attrs := hostLink.Attrs()
	return attrs.Alias == m.String() || attrs.Alias == "" && attrs.Group == m.group()
}

// isUnmarked reports whether a host interface carries no mark, as interfaces of Calico do.
func isUnmarked(hostLink netlink.Link) bool {
	attrs := hostLink.Attrs()
	return attrs.Alias == "" && attrs.Group&groupMark == 0
}

// workloadLength is the length of the suffix of a host interface name that identifies the workload. The prefix is
// configurable and may have changed.
const workloadLength = 11

// sameWorkload reports whether two host interface names belong to the same workload.
func sameWorkload(a, b string) bool {
	return len(a) >= workloadLength && len(b) >= workloadLength &&
		a[len(a)-workloadLength:] == b[len(b)-workloadLength:]
}

// isHostEnd reports whether a link may be the host end of an attachment of this plugin or of Calico: one end of a pair,
// with the MAC address that all host ends have. The name is not compared, because its prefix is configurable and may
// have changed.
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

// hostEndOf returns the host end of the pair that podLink belongs to, or nil if podLink is not the end of such a pair.
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

// podEndOf returns the pod end of the pair that hostLink belongs to, or nil if that end is not in this pod.
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
