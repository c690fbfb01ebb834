// SPDX-License-Identifier: Apache-2.0

package route

import (
	"slices"
	"strings"

	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/netstate"
)

// Route protocols that matter for ownership, apart from those of netstate.
const (
	// protocolKernel marks routes that follow from an address. The link driver owns the addresses.
	protocolKernel = 2
	// protocolBIRD marks routes of the BGP daemon of Calico. It writes those through the IPIP device.
	protocolBIRD = 12
)

// Ownership decides which routes of the main table belong to the agent.
type Ownership struct {
	// Workloads are the prefixes of the names of workload interfaces, such as "cali".
	Workloads []string
	// KeepExternal leaves routes of other programs on workload interfaces alone.
	KeepExternal bool
}

// isWorkload reports whether a link is the host's end of a pod's interface.
func (o Ownership) isWorkload(name string) bool {
	return slices.ContainsFunc(o.Workloads, func(p string) bool { return p != "" && strings.HasPrefix(name, p) })
}

// Owns reports whether a route belongs to the agent.
func (o Ownership) Owns(f Found) bool {
	r := f.Route
	switch {
	case r.Protocol == netstate.ProtocolCalico:
		return true
	case r.Protocol == protocolKernel, r.Dest.Addr().IsLinkLocalUnicast(), r.Dest.Addr().IsMulticast():
		return false
	case r.Dev == link.VXLANv4, r.Dev == link.VXLANv6:
		return true
	case r.Dev == link.IPIPv4:
		return r.Protocol == protocolBIRD
	case o.isWorkload(r.Dev):
		return !o.KeepExternal || r.Protocol == netstate.ProtocolBoot
	}
	return false
}
