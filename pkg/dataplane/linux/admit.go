// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"context"
	"fmt"

	"calico-cni/pkg/dataplane"
)

// Admit runs the checks of Setup that need no address, and chooses the host interface. It recognizes another interface
// of the same pod by its mark or, if the mark is of another network or absent (Calico's own plugin), by its peer.
func (d *DataPlane) Admit(ctx context.Context, spec dataplane.Spec) (dataplane.Spec, error) {
	if err := validate(spec); err != nil {
		return dataplane.Spec{}, err
	}
	ns, err := openPair(spec.NetNS)
	if err != nil {
		return dataplane.Spec{}, err
	}
	defer ns.close()
	s := setup{spec: spec, sysctls: d.sysctls, ns: ns}
	if err := s.checkIPv6(ctx); err != nil {
		return dataplane.Spec{}, err
	}
	if err := s.checkIfName(ctx); err != nil {
		return dataplane.Spec{}, err
	}
	if spec.HostIfName, err = s.chooseHostIfName(); err != nil {
		return dataplane.Spec{}, err
	}
	return spec, nil
}

func (s *setup) chooseHostIfName() (string, error) {
	first, second := s.spec.HostIfName, s.spec.SecondHostIfName
	taken, err := s.takenByPod(first)
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
	secondTaken, err := s.takenByPod(second)
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
func (s *setup) takenByPod(hostIfName string) (bool, error) {
	link, err := s.ns.host.linkByName(hostIfName)
	if err != nil || link == nil {
		return false, err
	}
	if m, ok := parseMark(link.Attrs().Alias); ok && m.owner == s.spec.Owner {
		if m == markOf(s.spec) {
			return false, fmt.Errorf("%w: %s on the host carries the mark of this attachment, %s: delete the "+
				"attachment first", dataplane.ErrIfNameTaken, hostIfName, m)
		}
		return true, nil
	}
	if _, marked := parseMark(link.Attrs().Alias); marked && s.spec.Shared {
		return true, nil
	}
	podEnd, err := s.ns.podEndOf(link)
	return podEnd != nil, err
}
