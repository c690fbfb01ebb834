// SPDX-License-Identifier: Apache-2.0

package policy

import "k8s.io/apimachinery/pkg/util/intstr"

// HostEndpoint is the content of a HostEndpoint object: one or all interfaces of a node to which policies apply.
//
// +kubebuilder:validation:XValidation:rule=`has(self.interfaceName) && self.interfaceName != "" || has(self.expectedIPs) && self.expectedIPs.size() > 0`,message="a host endpoint needs interfaceName or expectedIPs"
// +kubebuilder:validation:XValidation:rule=`has(self.node) && self.node != ""`,message="a host endpoint needs the name of its node"
type HostEndpoint struct {
	// Node is the name of the node.
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node,omitempty"`
	// InterfaceName is the name of the interface, or "*" for all interfaces of the node that have no endpoint of their
	// own.
	// +kubebuilder:validation:MaxLength=15
	InterfaceName string `json:"interfaceName,omitempty"`
	// ExpectedIPs are addresses of the interface. Rules that select the host endpoint match them. Without interfaceName
	// they also find the interface.
	// +listType=set
	ExpectedIPs []string `json:"expectedIPs,omitempty"`
	// Profiles that apply to the endpoint if no policy decides.
	// +listType=set
	Profiles []string `json:"profiles,omitempty"`
	// Ports are names for ports of the host, for use in rules.
	// +listType=atomic
	Ports []EndpointPort `json:"ports,omitempty"`
}

// EndpointPort is a port with a name.
type EndpointPort struct {
	// Name of the port.
	// +required
	Name string `json:"name"`
	// Protocol is a name or a number.
	// +required
	Protocol intstr.IntOrString `json:"protocol"`
	// Port is the number of the port.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int `json:"port"`
}
