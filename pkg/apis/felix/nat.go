// SPDX-License-Identifier: Apache-2.0

package felix

import "k8s.io/apimachinery/pkg/util/intstr"

// NAT configures address translation.
type NAT struct {
	// NATOutgoingAddress is the source address of traffic that leaves a pool with natOutgoing. Absent means that of the
	// outgoing interface.
	NATOutgoingAddress Address `json:"natOutgoingAddress,omitempty"`
	// NATPortRange are the source ports of such traffic, such as 32768:60999. Absent lets the kernel choose.
	NATPortRange *intstr.IntOrString `json:"natPortRange,omitempty"`
	// NATOutgoingExclusions are the destinations that keep the pod's address: IPPoolsOnly (default) or
	// IPPoolsAndHostIPs.
	// +kubebuilder:validation:Enum=IPPoolsOnly;IPPoolsAndHostIPs
	NATOutgoingExclusions string `json:"natOutgoingExclusions,omitempty"`
	// IptablesNATOutgoingInterfaceFilter limits natOutgoing to one outgoing interface. Absent means all.
	IptablesNATOutgoingInterfaceFilter string `json:"iptablesNATOutgoingInterfaceFilter,omitempty"`
	// KubeNodePortRanges are the node ports of Services, at most 7 ports or ranges. The default is 30000:32767.
	// +kubebuilder:validation:MaxItems=7
	KubeNodePortRanges []intstr.IntOrString `json:"kubeNodePortRanges,omitzero"`
}
