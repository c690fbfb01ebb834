package linux

import (
	"bytes"
	"hash/fnv"
	"strings"

	"github.com/vishvananda/netlink"

	"calico-cni/pkg/dataplane"
)

// mark names the attachment that a host interface belongs to. The interface carries its text, "<owner>/<ifName>", as
// alias.
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

// groupMark is set in each device group that stands for a mark. Groups that administrators choose are small numbers.
const groupMark = 1 << 30

// group returns the device group that carries the mark until the alias does. The kernel takes a group in the request
// that creates an interface, but no alias, so that a crash between the two leaves no interface without a mark.
func (m mark) group() uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(m.String()))
	return groupMark | h.Sum32()&(groupMark-1)
}

// isOn reports whether a host interface carries the mark, as its alias or as its group.
func (m mark) isOn(hostLink netlink.Link) bool {
	attrs := hostLink.Attrs()
	return attrs.Alias == m.String() || attrs.Alias == "" && attrs.Group == m.group()
}

// isUnmarked reports whether a host interface carries no mark of any attachment, as Calico leaves its own.
func isUnmarked(hostLink netlink.Link) bool {
	attrs := hostLink.Attrs()
	return attrs.Alias == "" && attrs.Group&groupMark == 0
}

// workloadLength is the length of the end of a host interface name that identifies the workload; the prefix before it
// may have been configured anew.
const workloadLength = 11

// sameWorkload reports whether two names of host interfaces are of the same workload.
func sameWorkload(a, b string) bool {
	return len(a) >= workloadLength && len(b) >= workloadLength && a[len(a)-workloadLength:] == b[len(b)-workloadLength:]
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
