// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"context"
	"fmt"

	"calico-cni/pkg/dataplane"
)

// admission has the checks that need no address. Admit and Setup share them.
type admission struct {
	spec    dataplane.Spec
	sysctls sysctlTree
	ns      pair
}

// Admit runs the checks of Setup that need no address, and chooses the host interface. It recognizes another interface
// of the same pod by its mark or, if the mark is of another network or absent (Calico's own plugin), by its peer.
func (d *DataPlane) Admit(_ context.Context, spec dataplane.Spec) (dataplane.Spec, error) {
	if err := validate(spec); err != nil {
		return dataplane.Spec{}, err
	}
	ns, err := openPair(spec.NetNS)
	if err != nil {
		return dataplane.Spec{}, err
	}
	defer ns.close()
	a := admission{spec: spec, sysctls: d.sysctls, ns: ns}
	if err := a.checkIPv6(); err != nil {
		return dataplane.Spec{}, err
	}
	if err := a.checkIfName(); err != nil {
		return dataplane.Spec{}, err
	}
	if spec.HostIfName, err = a.chooseHostIfName(); err != nil {
		return dataplane.Spec{}, err
	}
	return spec, nil
}

func (a admission) checkIPv6() error {
	if !uses6(a.spec) {
		return nil
	}
	ok, err := a.sysctls.hasIPv6()
	if err != nil {
		return fmt.Errorf("detect IPv6: %w", err)
	}
	if !ok {
		return fmt.Errorf("%w: boot it without ipv6.disable=1, or give the pod IPv4 addresses only",
			dataplane.ErrNoIPv6)
	}
	return nil
}

func (a admission) checkIfName() error {
	link, err := a.ns.pod.linkByName(a.spec.IfName)
	if err != nil || link == nil {
		return err
	}
	return fmt.Errorf("%w: %s in %s: remove it, or let the runtime create a new sandbox",
		dataplane.ErrIfNameTaken, a.spec.IfName, a.spec.NetNS)
}

func (a admission) chooseHostIfName() (string, error) {
	first, second := a.spec.HostIfName, a.spec.SecondHostIfName
	taken, err := a.takenByPod(first)
	if err != nil {
		return "", err
	}
	if second == "" {
		if taken {
			return "", fmt.Errorf("%w: another interface of the pod has %s on the host: one is all that is supported",
				dataplane.ErrIfNameTaken, first)
		}
		return first, nil
	}
	secondTaken, err := a.takenByPod(second)
	switch {
	case err != nil:
		return "", err
	case !taken:
		return first, nil
	case secondTaken:
		return "", fmt.Errorf("%w: other interfaces of the pod have %s and %s on the host: remove one",
			dataplane.ErrIfNameTaken, first, second)
	}
	return second, nil
}

// takenByPod reports whether another interface of the same pod has the host interface. It returns ErrIfNameTaken if the
// host interface belongs to this attachment.
func (a admission) takenByPod(hostIfName string) (bool, error) {
	link, err := a.ns.host.linkByName(hostIfName)
	if err != nil || link == nil {
		return false, err
	}
	if m, ok := parseMark(link.Attrs().Alias); ok && m.owner == a.spec.Handle {
		if m == markOf(a.spec) {
			return false, fmt.Errorf("%w: %s on the host carries the mark of this attachment, %s: delete the "+
				"attachment first", dataplane.ErrIfNameTaken, hostIfName, m)
		}
		return true, nil
	}
	if _, marked := parseMark(link.Attrs().Alias); marked && a.spec.Shared {
		return true, nil
	}
	podEnd, err := a.ns.podEndOf(link)
	return podEnd != nil, err
}
