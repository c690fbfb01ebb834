// Package linux attaches pods to a Linux node with a veth or netkit pair and routes, without a bridge.
//
// The pod's end carries the addresses, as /32 and /128; its default route goes to a link-local gateway that
// exists on no machine. The host's end has the same MAC address for every pod and answers for that gateway;
// the host routes each address of the pod to it.
//
// The goroutine's own thread decides which network namespace is the host's: that of the process, unless the
// caller locked the thread and moved it.
package linux

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"calico-cni/internal/deadline"
	"calico-cni/internal/undo"
	"calico-cni/pkg/dataplane"
)

// The pod's gateways and the MAC address that stands for both. The IPv6 one is the link-local address which
// follows from the MAC address (RFC 4291, appendix A); the other agents of the node rely on all three.
var (
	gateway4 = netip.AddrFrom4([4]byte{169, 254, 1, 1})
	gateway6 = netip.MustParseAddr("fe80::ecee:eeff:feee:eeee")
	hostMAC  = net.HardwareAddr{0xee, 0xee, 0xee, 0xee, 0xee, 0xee}
)

// DataPlane makes, checks and removes attachments. It holds no state; any number of calls may run at once.
type DataPlane struct {
	sysctls sysctlTree
}

var _ dataplane.Interface = (*DataPlane)(nil)

// New returns a data plane that writes kernel parameters beneath the directory sysctls, which is /proc/sys
// where it is empty.
func New(sysctls string) *DataPlane {
	if sysctls == "" {
		sysctls = "/proc/sys"
	}
	return &DataPlane{sysctls: sysctlTree(sysctls)}
}

// Setup makes the attachment and returns it when packets can pass: both ends are up, and the
// kernel receives for each address. A host interface of the wanted name is replaced, whoever owns it, unless the pod itself is at its
// other end: a new sandbox of a pod takes the place of the old one. When Setup fails, the pod and the host are as they were but for that.
//
// ctx is looked at between the steps; a single request to the kernel cannot be interrupted.
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
	// Runs last, and so for what the undo reports as well.
	defer func() { err = explain(err, toConfigure) }()
	var done undo.Stack
	defer func() { done.OnError(ctx, &err) }()

	s := setup{spec: spec, sysctls: d.sysctls, ns: ns, undo: &done}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"check IPv6", s.checkIPv6},
		{"check interface name", s.checkIfName},
		{"set sysctls of pod", s.setPodSysctls},
		{"remove stale host interface", s.removeStale},
		{"create pair", s.createPair},
		{"mark owner", s.markOwner},
		{"set sysctls of host interface", s.setHostSysctls},
		{"add gateway address", s.addGateway},
		{"bring up", s.bringUp},
		{"add addresses", s.addAddrs},
		{"await readiness", s.awaitReadiness},
		{"add pod routes", s.addPodRoutes},
		{"add neighbours", s.addNeighbours},
		{"add host routes", s.addHostRoutes},
	} {
		if err := ended(ctx, step.name); err != nil {
			return dataplane.Endpoint{}, err
		}
		if err := step.do(ctx); err != nil {
			return dataplane.Endpoint{}, err
		}
	}
	return s.endpoint(), nil
}

// ended returns an error if ctx has ended before a step.
func ended(ctx context.Context, step string) error {
	if ctx.Err() == nil {
		return nil
	}
	return interrupted(ctx, step)
}

// interrupted returns the error of a step that did not finish before ctx ended.
func interrupted(ctx context.Context, step string) error {
	return fmt.Errorf("%s: %w; see whether this node is overloaded, and try again", step, deadline.Cause(ctx))
}
