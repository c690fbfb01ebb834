// SPDX-License-Identifier: Apache-2.0

// Package linux attaches pods to a Linux node with a veth or netkit pair and routes, without a bridge.
//
// The pod's end carries the addresses as /32 and /128. Its default route leads to a link-local gateway that no machine
// has. The host's end has the same MAC address for every pod and answers for that gateway. The host has a route to each
// address of the pod through it.
//
// The network namespace of the calling thread is the host's namespace: that of the process, unless the caller locked
// the goroutine to a thread and moved the thread.
package linux

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/dataplane"
)

// The pod's gateways and the MAC address of both. The IPv6 gateway is the link-local address that follows from the MAC
// address (RFC 4291, appendix A). Other agents of the node rely on all three.
var (
	gateway4 = netip.AddrFrom4([4]byte{169, 254, 1, 1})
	gateway6 = netip.MustParseAddr("fe80::ecee:eeff:feee:eeee")
	hostMAC  = net.HardwareAddr{0xee, 0xee, 0xee, 0xee, 0xee, 0xee}
)

// DataPlane creates, checks and removes attachments. It holds no state and is safe for concurrent use.
type DataPlane struct {
	sysctls sysctlTree
}

var _ dataplane.Interface = (*DataPlane)(nil)

// New returns a data plane that writes kernel parameters under the directory sysctls. If sysctls is empty, that is
// /proc/sys.
func New(sysctls string) *DataPlane {
	if sysctls == "" {
		sysctls = "/proc/sys"
	}
	return &DataPlane{sysctls: sysctlTree(sysctls)}
}

// step is one step of Setup, Check or Teardown.
type step struct {
	name string
	do   func() error
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
	return fmt.Errorf("%s: %w; check whether this node is overloaded, and try again", step, deadline.Cause(ctx))
}
