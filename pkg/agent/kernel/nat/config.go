// SPDX-License-Identifier: Apache-2.0

package nat

import "calico-cni/pkg/netstate"

// Config says which packets the node translates, and which packets of tunnels it drops. The zero value needs nothing.
type Config struct {
	NAT     netstate.NAT
	Filters []netstate.TunnelFilter
	// Workloads are the prefixes of the names of workload interfaces. A pod may send no packets of the tunnels.
	Workloads []string
	// AllowVXLANFromPods and AllowIPIPFromPods lift that.
	AllowVXLANFromPods, AllowIPIPFromPods bool
}
