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
	pod    *side // Nil where the namespace is gone, cannot be opened, or is the host's own.
}

// Teardown removes the pod's end of the pair, which takes the host's end and its routes along, and then the
// host's end where that is left and carries the target's mark. What is not there is fine, as is a path that names
// the host's own namespace: nothing of ours is in there. An error of one half does not stop the other.
func (d *DataPlane) Teardown(ctx context.Context, target dataplane.Target) (others dataplane.Others, err error) {
	defer func() { err = explain(err, toConfigure) }()
	host, err := openHost()
	if err != nil {
		return others, err
	}
	defer host.close()
	t := teardown{target: target, mark: mark{target.Owner, target.IfName}, host: host}
	pod, opened := openIfThere(target.NetNS, host)
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
		{"look for other interfaces", func() (err error) { others, err = t.others(); return err }},
	} {
		if err := ended(ctx, step.name); err != nil {
			return others, errors.Join(opened, err)
		}
		opened = errors.Join(opened, step.do())
	}
	return others, opened
}

// openIfThere returns nil where there is no pod to look into.
func openIfThere(path string, host side) (*side, error) {
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

// removePodLink removes the pod's end only if the pair is proven to be the target's. An ADD that finds its interface
// name taken is followed by a DEL, which must not remove the interface that the ADD spared. A path such as
// /proc/<pid>/ns/net may lead to the namespace of another pod by now.
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
	mine, err := t.ownsPair(hostEnd)
	if err != nil || !mine {
		return err
	}
	return t.pod.deleteLink(link)
}

// ownsPair reports whether a pair with one end in the target's namespace belongs to the target. A pair without a mark
// does if its host interface has the name of the target's workload, and if the caller, or the mark on another pair in
// the namespace, identifies the target's container.
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

// hasOlderMark reports whether a host interface carries the mark of the target's container that older versions of
// this data plane set.
func (t teardown) hasOlderMark(hostLink netlink.Link) bool {
	return t.target.ContainerID != "" && hostLink.Attrs().Alias == t.target.ContainerID
}

// ofContainer reports whether a mark is of the target's container, in any network.
func (t teardown) ofContainer(m mark) bool {
	return t.target.Owner != "" && m.owner == t.target.Owner ||
		t.target.ContainerID != "" && strings.HasSuffix(m.owner, "."+t.target.ContainerID)
}

// removeHostLinks leaves alone what carries another mark: a newer sandbox of the same pod has the same interface name.
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
		mine, err := t.mine(link)
		if mine && err == nil {
			err = t.host.deleteLink(link)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// mine reports whether a host interface is the target's. One without a mark of today's form tells the container at most,
// so it is not when the pod has its other end under another name.
func (t teardown) mine(link netlink.Link) (bool, error) {
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

// halfMade reports whether an interface without a mark may be one that an older version of this data plane is setting
// up for a newer sandbox: that version set the mark after the creation, and before it brought the interface up.
func halfMade(link netlink.Link) bool { return link.Attrs().Flags&net.FlagUp == 0 }

// others tells the other interfaces of the container by their marks.
func (t teardown) others() (found dataplane.Others, err error) {
	if t.target.Owner == "" {
		return found, nil
	}
	marks, unmarked, err := t.marks()
	// An interface of Calico, or of an older version, does not tell its network.
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

// marks returns the marks of the pod, which has few interfaces, or of the whole host where the pod is gone. unmarked
// reports whether the pod has an interface besides the target whose host end has no mark of today's form.
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
