// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"context"
	"fmt"

	"calico-cni/internal/undo"
	"calico-cni/pkg/dataplane"
)

// setup is one run of Setup. It creates the pair; host and pod configure the two ends.
type setup struct {
	spec  dataplane.Spec
	ns    pair
	undo  *undo.Stack
	admit admission
	host  *hostSetup
	pod   *podSetup
}

// Setup creates the attachment and returns when packets can pass: both ends are up, and the kernel accepts packets for
// each address. An existing host interface of the wanted name is replaced, even if another program owns it, unless its
// peer is in the pod itself: a new sandbox of a pod replaces the old one. If Setup fails, it restores the pod and the
// host, except for a replaced interface.
//
// Setup checks ctx between the steps. It cannot interrupt a single request to the kernel.
func (d *DataPlane) Setup(ctx context.Context, spec dataplane.Spec) (_ dataplane.Endpoint, err error) {
	if err := validate(spec); err != nil {
		return dataplane.Endpoint{}, err
	}
	if len(spec.Addrs) == 0 {
		return dataplane.Endpoint{}, fmt.Errorf("%w: no address for the pod: want at least one", dataplane.ErrSpec)
	}
	ns, err := openPair(spec.NetNS)
	if err != nil {
		return dataplane.Endpoint{}, err
	}
	defer ns.close()
	// This runs last, so that it also covers the errors of the undo steps.
	defer func() { err = explain(err, toConfigure) }()
	var done undo.Stack
	defer func() { done.OnError(ctx, &err) }()

	s := newSetup(spec, d.sysctls, ns, &done)
	for _, step := range s.steps(ctx) {
		if err := ended(ctx, step.name); err != nil {
			return dataplane.Endpoint{}, err
		}
		if err := step.do(); err != nil {
			return dataplane.Endpoint{}, err
		}
	}
	return s.endpoint(), nil
}

func newSetup(spec dataplane.Spec, sysctls sysctlTree, ns pair, done *undo.Stack) *setup {
	return &setup{
		spec: spec, ns: ns, undo: done,
		admit: admission{spec: spec, sysctls: sysctls, ns: ns},
		host:  &hostSetup{spec: spec, sysctls: sysctls, ns: ns, undo: done},
		pod:   &podSetup{spec: spec, sysctls: sysctls, ns: ns, undo: done},
	}
}

// steps returns the steps of Setup in their order. Their methods say what the order depends on.
func (s *setup) steps(ctx context.Context) []step {
	return []step{
		{"check IPv6", s.admit.checkIPv6},
		{"check interface name", s.admit.checkIfName},
		{"set sysctls of pod", s.pod.setSysctls},
		{"remove stale host interface", s.host.removeStale},
		{"create pair", s.createPair},
		{"mark owner", s.host.markOwner},
		{"set sysctls of host interface", s.host.setSysctls},
		{"add gateway address", s.host.addGateway},
		{"bring up", s.bringUp},
		{"add addresses", s.pod.addAddrs},
		{"await readiness", func() error { return s.awaitReadiness(ctx) }},
		{"add pod routes", s.pod.addRoutes},
		{"add neighbours", s.pod.addNeighbours},
		{"add host routes", s.host.addRoutes},
	}
}

func (s *setup) bringUp() error {
	if err := s.ns.host.LinkSetUp(s.host.link); err != nil {
		return fmt.Errorf("bring up %s: %w", s.spec.HostIfName, err)
	}
	if err := s.ns.pod.LinkSetUp(s.pod.link); err != nil {
		return fmt.Errorf("bring up %s: %w", s.spec.IfName, err)
	}
	return nil
}

func (s *setup) endpoint() dataplane.Endpoint {
	return dataplane.Endpoint{
		IfName:     s.spec.IfName,
		HostIfName: s.spec.HostIfName,
		Kind:       dataplane.Kind(s.pod.link.Type()),
		MAC:        s.pod.link.Attrs().HardwareAddr,
		MTU:        s.pod.link.Attrs().MTU,
	}
}
