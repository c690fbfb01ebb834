// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"net"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"calico-cni/pkg/dataplane"
)

// ownsPair reports whether a pair with one end in the target's namespace belongs to the target. An unmarked pair
// belongs to it if its host interface has the name of the target's workload, and if the caller or the mark of another
// pair in the namespace identifies the container.
func (t teardown) ownsPair(hostEnd netlink.Link) (bool, error) {
	switch {
	case t.mark.isOn(hostEnd):
		return true, nil
	case !isUnmarked(hostEnd) || !sameWorkload(hostEnd.Attrs().Name, t.target.HostIfName):
		return false, nil
	case t.target.Unmarked:
		return true, nil
	}
	marks, _, err := t.marks()
	return slices.ContainsFunc(marks, t.ofContainer), err
}

// ofContainer reports whether a mark belongs to the target's container, in any network.
func (t teardown) ofContainer(m mark) bool {
	return t.target.Handle != "" && m.owner == t.target.Handle ||
		t.target.ContainerID != "" && strings.HasSuffix(m.owner, "."+t.target.ContainerID)
}

// ownsHostLink reports whether a host interface belongs to the target. An unmarked interface does not belong to it if
// its peer in the pod has another name.
func (t teardown) ownsHostLink(link netlink.Link) (bool, error) {
	switch {
	case t.mark.isOn(link):
		return true, nil
	case !isUnmarked(link) || !t.target.Unmarked || mayBeInSetup(link) || link.Attrs().Name != t.target.HostIfName:
		return false, nil
	case t.pod == nil:
		return true, nil
	}
	podEnd, err := pair{pod: *t.pod, host: t.host}.podEndOf(link)
	return podEnd == nil || podEnd.Attrs().Name == t.target.IfName, err
}

// mayBeInSetup reports whether another implementation, such as Calico's plugin, may be setting up an unmarked interface
// for a newer sandbox of the pod. It brings the interface up after it has created it.
func mayBeInSetup(link netlink.Link) bool { return link.Attrs().Flags&net.FlagUp == 0 }

// others finds the other interfaces of the container by their marks.
func (t teardown) others() (found dataplane.Others, err error) {
	if t.target.Handle == "" {
		return found, nil
	}
	marks, unmarked, err := t.marks()
	// An unmarked interface does not identify its network.
	found.InNetwork = unmarked
	for _, m := range marks {
		switch {
		case m == t.mark:
		case m.owner == t.target.Handle:
			found.InNetwork = true
		case t.ofContainer(m):
			found.Elsewhere = true
		}
	}
	return found, err
}

// marks returns the marks of the pod's interfaces or, if the pod is gone, of all interfaces of the host. unmarked
// reports whether the pod has another interface whose host end has no mark.
func (t teardown) marks() (marks []mark, unmarked bool, err error) {
	if t.pod == nil {
		all, err := t.host.attachments()
		for _, a := range all {
			marks = append(marks, a.mark)
		}
		return marks, false, err
	}
	links, err := t.pod.links()
	if err != nil {
		return nil, false, err
	}
	for _, link := range links {
		hostEnd, err := pair{pod: *t.pod, host: t.host}.hostEndOf(link)
		if err != nil {
			return marks, unmarked, err
		}
		if hostEnd == nil {
			continue
		}
		m, marked := parseMark(hostEnd.Attrs().Alias)
		switch {
		case marked:
			marks = append(marks, m)
		case link.Attrs().Name != t.target.IfName && isHostEnd(hostEnd) && !t.mark.isOn(hostEnd):
			unmarked = true
		}
	}
	return marks, unmarked, nil
}
