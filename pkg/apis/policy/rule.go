// SPDX-License-Identifier: Apache-2.0

package policy

import "k8s.io/apimachinery/pkg/util/intstr"

// Action is what a rule does with the traffic that it matches.
type Action string

// Values of Action.
const (
	Allow Action = "Allow"
	Deny  Action = "Deny"
	// Log writes a message and goes on with the next rule.
	Log Action = "Log"
	// Pass goes on with the next tier, and after the last tier with the profiles.
	Pass Action = "Pass"
)

// Rule matches traffic and decides about it. All its conditions must hold; an absent one always does.
//
// +kubebuilder:validation:XValidation:rule="!has(self.protocol) || !(self.protocol in ['ICMP', 'icmp', 'ICMPv6', 'icmpv6', 'UDPLite', 'udplite'] || type(self.protocol) == int && !(self.protocol in [6, 17, 132])) || !has(self.source) || (!has(self.source.ports) || self.source.ports.size() == 0) && (!has(self.source.notPorts) || self.source.notPorts.size() == 0)",message="only protocols TCP, UDP and SCTP have ports"
// +kubebuilder:validation:XValidation:rule="!has(self.protocol) || !(self.protocol in ['ICMP', 'icmp', 'ICMPv6', 'icmpv6', 'UDPLite', 'udplite'] || type(self.protocol) == int && !(self.protocol in [6, 17, 132])) || !has(self.destination) || (!has(self.destination.ports) || self.destination.ports.size() == 0) && (!has(self.destination.notPorts) || self.destination.notPorts.size() == 0)",message="only protocols TCP, UDP and SCTP have ports"
// +kubebuilder:validation:XValidation:rule="has(self.protocol) || !has(self.source) || (!has(self.source.ports) || self.source.ports.all(p, type(p) != int)) && (!has(self.source.notPorts) || self.source.notPorts.all(p, type(p) != int))",message="ports need a protocol: set it to TCP, UDP or SCTP"
// +kubebuilder:validation:XValidation:rule="has(self.protocol) || !has(self.destination) || (!has(self.destination.ports) || self.destination.ports.all(p, type(p) != int)) && (!has(self.destination.notPorts) || self.destination.notPorts.all(p, type(p) != int))",message="ports need a protocol: set it to TCP, UDP or SCTP"
// +kubebuilder:validation:XValidation:rule="!has(self.icmp) && !has(self.notICMP) || has(self.protocol) && !(self.protocol in ['TCP', 'tcp', 'UDP', 'udp', 'SCTP', 'sctp', 'UDPLite', 'udplite']) && (type(self.protocol) != int || self.protocol in [1, 58])",message="icmp and notICMP need protocol ICMP or ICMPv6"
// +kubebuilder:validation:XValidation:rule="!has(self.protocol) || !has(self.ipVersion) || !(self.protocol in ['ICMP', 'icmp'] && self.ipVersion == 6 || self.protocol in ['ICMPv6', 'icmpv6'] && self.ipVersion == 4)",message="protocol ICMP is of IP version 4, ICMPv6 of IP version 6"
// +kubebuilder:validation:XValidation:rule="!has(self.http) || !has(self.protocol) || self.protocol in ['TCP', 'tcp'] || self.protocol == 6",message="http needs protocol TCP"
type Rule struct {
	// Action is Allow, Deny, Log or Pass.
	// +required
	// +kubebuilder:validation:Enum=Allow;Deny;Log;Pass
	Action Action `json:"action"`
	// IPVersion is 4 or 6; absent means both.
	// +kubebuilder:validation:Enum=4;6
	IPVersion *int `json:"ipVersion,omitempty"`
	// Protocol is TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite, or a number from 1 to 255.
	Protocol *intstr.IntOrString `json:"protocol,omitempty"`
	// ICMP is the ICMP type and code to match. It needs protocol ICMP or ICMPv6.
	ICMP *ICMP `json:"icmp,omitempty"`
	// NotProtocol is a protocol that the traffic must not have.
	NotProtocol *intstr.IntOrString `json:"notProtocol,omitempty"`
	// NotICMP is an ICMP type and code that the traffic must not have.
	NotICMP *ICMP `json:"notICMP,omitempty"`
	// Source are the conditions on the sender.
	Source Entity `json:"source,omitzero"`
	// Destination are the conditions on the receiver.
	Destination Entity `json:"destination,omitzero"`
	// HTTP are conditions on the request. Only a proxy can check them.
	HTTP *HTTP `json:"http,omitempty"`
	// Metadata of the rule, without effect.
	Metadata *RuleMetadata `json:"metadata,omitempty"`
}

// ICMP is an ICMP type, and a code of that type.
//
// +kubebuilder:validation:XValidation:rule="!has(self.code) || has(self.type)",message="an ICMP code needs a type"
type ICMP struct {
	// Type of the message, 0 to 254.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=254
	Type *int `json:"type,omitempty"`
	// Code of the message, 0 to 255.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=255
	Code *int `json:"code,omitempty"`
}

// Entity are the conditions on one side of a connection. All must hold.
//
// +kubebuilder:validation:XValidation:rule="!has(self.services) || (!has(self.ports) || self.ports.size() == 0) && (!has(self.notPorts) || self.notPorts.size() == 0)",message="services bring their ports: remove ports and notPorts"
// +kubebuilder:validation:XValidation:rule="!has(self.services) || (!has(self.nets) || self.nets.size() == 0) && (!has(self.notNets) || self.notNets.size() == 0)",message="services bring their addresses: remove nets and notNets"
// +kubebuilder:validation:XValidation:rule=`!has(self.services) || (!has(self.selector) || self.selector == "") && (!has(self.notSelector) || self.notSelector == "") && (!has(self.namespaceSelector) || self.namespaceSelector == "") && !has(self.serviceAccounts)`,message="services bring their addresses: remove the selectors and serviceAccounts"
type Entity struct {
	// Nets are CIDRs, one of which must contain the address.
	// +kubebuilder:validation:MaxItems=256
	// +listType=set
	Nets []string `json:"nets,omitempty"`
	// Selector selects endpoints and network sets by their labels.
	// +kubebuilder:validation:MaxLength=1024
	Selector string `json:"selector,omitempty"`
	// NamespaceSelector selects namespaces by their labels. In a NetworkPolicy, absent means its own namespace if
	// selector, notSelector or serviceAccounts is set.
	// +kubebuilder:validation:MaxLength=1024
	NamespaceSelector string `json:"namespaceSelector,omitempty"`
	// Services selects the endpoints behind a Service. It excludes all other conditions of this side.
	Services *Services `json:"services,omitempty"`
	// Ports are numbers, ranges such as "1000:2000", or names, one of which must match.
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	Ports []intstr.IntOrString `json:"ports,omitempty"`
	// NotNets are CIDRs, none of which may contain the address.
	// +kubebuilder:validation:MaxItems=256
	// +listType=set
	NotNets []string `json:"notNets,omitempty"`
	// NotSelector selects endpoints and network sets that must not be on this side.
	// +kubebuilder:validation:MaxLength=1024
	NotSelector string `json:"notSelector,omitempty"`
	// NotPorts are ports, none of which may match.
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	NotPorts []intstr.IntOrString `json:"notPorts,omitempty"`
	// ServiceAccounts selects pods by their service account.
	ServiceAccounts *ServiceAccounts `json:"serviceAccounts,omitempty"`
}

// Services names a Service.
type Services struct {
	// Name of the Service.
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// Namespace of the Service; absent means that of the policy.
	// +kubebuilder:validation:MaxLength=253
	Namespace string `json:"namespace,omitempty"`
}

// ServiceAccounts selects service accounts. Both conditions must hold.
type ServiceAccounts struct {
	// Names of service accounts; empty means any.
	// +listType=set
	Names []string `json:"names,omitempty"`
	// Selector selects service accounts by their labels.
	Selector string `json:"selector,omitempty"`
}

// HTTP are conditions on an HTTP request. Both must hold.
type HTTP struct {
	// Methods are names such as GET, one of which must match; empty means any.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	Methods []string `json:"methods,omitempty"`
	// Paths, one of which must match; empty means any.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	Paths []HTTPPath `json:"paths,omitempty"`
}

// HTTPPath matches a path of a request. Set one of the two.
type HTTPPath struct {
	// Exact is the whole path.
	// +kubebuilder:validation:MaxLength=1024
	Exact string `json:"exact,omitempty"`
	// Prefix is the beginning of the path.
	// +kubebuilder:validation:MaxLength=1024
	Prefix string `json:"prefix,omitempty"`
}

// RuleMetadata describes a rule.
type RuleMetadata struct {
	// Annotations are keys and values of the user.
	Annotations map[string]string `json:"annotations,omitempty"`
}
