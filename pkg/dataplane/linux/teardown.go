// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"calico-cni/pkg/dataplane"
)

// teardown is one run of Teardown.
type teardown struct {
	target dataplane.Target
	mark   mark
	host   side
	pod    *side // Nil if the namespace is gone, cannot be opened, or is the host's own.
}

// Teardown removes the pod's end of the pair, and with it the host's end and its routes. It then removes the host's end
// if that still exists and carries the target's mark. An absent interface is not an error, nor is a path of the host's
// own namespace, which contains no pod's end. An error in one half does not stop the other.
func (d *DataPlane) Teardown(ctx context.Context, target dataplane.Target) (others dataplane.Others, err error) {
	defer func() { err = explain(err, toConfigure) }()
	host, err := openHost()
	if err != nil {
		return others, err
	}
	defer host.close()
	t := teardown{target: target, mark: mark{target.Owner, target.IfName}, host: host}
	pod, errs := openIfPresent(target.NetNS, host)
	if pod != nil {
		defer pod.close()
		t.pod = pod
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"remove pod interface", t.removePodLink},
		{"remove host interface", t.removeHostLinks},
		{"find other interfaces", func() (err error) { others, err = t.others(); return err }},
	} {
		if err := ended(ctx, step.name); err != nil {
			return others, errors.Join(errs, err)
		}
		errs = errors.Join(errs, step.do())
	}
	return others, errs
}

// openIfPresent returns nil if there is no pod namespace to open.
func openIfPresent(path string, host side) (*side, error) {
	if path == "" {
		return nil, nil
	}
	pod, err := openPod(path, host)
	if errors.Is(err, dataplane.ErrNoNetNS) || errors.Is(err, dataplane.ErrHostNetNS) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &pod, nil
}

// removePodLink removes the pod's end only if the pair is proven to belong to the target. A DEL follows an ADD that
// finds its interface name taken; it must not remove that existing interface. A path such as /proc/<pid>/ns/net may now
// lead to the namespace of another pod.
func (t teardown) removePodLink() error {
	if t.pod == nil || t.target.IfName == "" {
		return nil
	}
	link, err := t.pod.linkByName(t.target.IfName)
	if err != nil || link == nil {
		return err
	}
	hostEnd, err := pair{pod: *t.pod, host: t.host}.hostEndOf(link)
	if err != nil || hostEnd == nil {
		return err
	}
	owned, err := t.ownsPair(hostEnd)
	if err != nil || !owned {
		return err
	}
	return t.pod.deleteLink(link)
}

// ownsPair reports whether a pair with one end in the target's namespace belongs to the target. An unmarked pair does
// if its host interface has the name of the target's workload and the container is identified, either by the caller or
// by the mark of another pair in the namespace.
func (t teardown) ownsPair(hostEnd netlink.Link) (bool, error) {
	switch {
	case t.mark.isOn(hostEnd), t.hasOlderMark(hostEnd):
		return true, nil
	case !isUnmarked(hostEnd) || !sameWorkload(hostEnd.Attrs().Name, t.target.HostIfName):
		return false, nil
	case t.target.Unmarked:
		return true, nil
	}
	marks, _, err := t.marks()
	return slices.ContainsFunc(marks, t.ofContainer), err
}

// hasOlderMark reports whether a host interface carries the mark that older versions of this data plane set for the
// target's container.
func (t teardown) hasOlderMark(hostLink netlink.Link) bool {
	return t.target.ContainerID != "" && hostLink.Attrs().Alias == t.target.ContainerID
}

// ofContainer reports whether a mark belongs to the target's container, in any network.
func (t teardown) ofContainer(m mark) bool {
	return t.target.Owner != "" && m.owner == t.target.Owner ||
		t.target.ContainerID != "" && strings.HasSuffix(m.owner, "."+t.target.ContainerID)
}

// removeHostLinks keeps an interface with another mark: a newer sandbox of the same pod has the same interface name.
func (t teardown) removeHostLinks() error {
	if t.target.Owner == "" {
		return nil
	}
	var errs []error
	for _, name := range []string{t.target.HostIfName, t.target.SecondHostIfName} {
		if name == "" {
			continue
		}
		link, err := t.host.linkByName(name)
		if err != nil || link == nil {
			errs = append(errs, err)
			continue
		}
		owned, err := t.ownsHostLink(link)
		if owned && err == nil {
			err = t.host.deleteLink(link)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ownsHostLink reports whether a host interface belongs to the target. An older mark identifies at most the container,
// so such an interface does not belong to the target if its peer in the pod has another name.
func (t teardown) ownsHostLink(link netlink.Link) (bool, error) {
	if t.mark.isOn(link) {
		return true, nil
	}
	unmarked := isUnmarked(link) && t.target.Unmarked && !halfMade(link) || t.hasOlderMark(link)
	if !unmarked || link.Attrs().Name != t.target.HostIfName || t.pod == nil {
		return unmarked && link.Attrs().Name == t.target.HostIfName, nil
	}
	podEnd, err := pair{pod: *t.pod, host: t.host}.podEndOf(link)
	return podEnd == nil || podEnd.Attrs().Name == t.target.IfName, err
}

// halfMade reports whether an older version of this data plane may be setting up an unmarked interface for a newer
// sandbox. That version set the mark after it created the interface and before it brought the interface up.
func halfMade(link netlink.Link) bool { return link.Attrs().Flags&net.FlagUp == 0 }

// others finds the other interfaces of the container by their marks.
func (t teardown) others() (found dataplane.Others, err error) {
	if t.target.Owner == "" {
		return found, nil
	}
	marks, unmarked, err := t.marks()
	// An unmarked interface, or one of an older version, does not identify its network.
	found.InNetwork = unmarked
	for _, m := range marks {
		switch {
		case m == t.mark:
		case m.owner == t.target.Owner:
			found.InNetwork = true
		case t.ofContainer(m):
			found.Elsewhere = true
		}
	}
	return found, err
}

// marks returns the marks of the pod's interfaces or, if the pod is gone, of all interfaces of the host. unmarked
// reports whether the pod has another interface whose host end has no current mark.
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
