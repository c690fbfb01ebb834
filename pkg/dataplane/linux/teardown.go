// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"context"
	"errors"

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
// if that still exists and carries the target's mark. Neither an absent interface nor a path of the host's own
// namespace is an error. After an error in one step, Teardown continues with the next.
func (d *DataPlane) Teardown(ctx context.Context, target dataplane.Target) (others dataplane.Others, err error) {
	defer func() { err = explain(err, toConfigure) }()
	host, err := openHost()
	if err != nil {
		return others, err
	}
	defer host.close()
	t := teardown{target: target, mark: mark{target.Handle, target.IfName}, host: host}
	pod, errs := openIfPresent(target.NetNS, host)
	if pod != nil {
		defer pod.close()
		t.pod = pod
	}
	for _, step := range []step{
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

// removePodLink removes the pod's end only if the mark shows that the pair belongs to the target. If an ADD fails
// because its interface name is taken, the DEL that follows must not remove the existing interface. A path such as
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
	owned, err := t.ownsPair(hostEnd)
	if err != nil || !owned {
		return err
	}
	return t.pod.deleteLink(link)
}

// removeHostLinks keeps an interface with another mark: a newer sandbox of the same pod has the same interface name.
func (t teardown) removeHostLinks() error {
	if t.target.Handle == "" {
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
