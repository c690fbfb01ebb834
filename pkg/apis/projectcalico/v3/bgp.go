// SPDX-License-Identifier: Apache-2.0

package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/pkg/apis/bgp"
)

// BGPConfiguration configures BGP on all nodes, or on one.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=bgpconfigurations,singular=bgpconfiguration,shortName=bgpconfig;bgpconfigs
type BGPConfiguration struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec bgp.Configuration `json:"spec"`
}

// BGPConfigurationList is a list of these objects.
//
// +kubebuilder:object:root=true
type BGPConfigurationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BGPConfiguration `json:"items"`
}

// BGPPeer is a peering of nodes with another BGP speaker.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=bgppeers,singular=bgppeer
// +kubebuilder:printcolumn:name="Node Selector",type=string,JSONPath=.spec.nodeSelector
// +kubebuilder:printcolumn:name=Node,type=string,JSONPath=.spec.node
// +kubebuilder:printcolumn:name="Local ASN",type=integer,JSONPath=.spec.localASNumber
// +kubebuilder:printcolumn:name="Peer Selector",type=string,JSONPath=.spec.peerSelector
// +kubebuilder:printcolumn:name="Peer IP",type=string,JSONPath=.spec.peerIP
// +kubebuilder:printcolumn:name="Peer ASN",type=integer,JSONPath=.spec.asNumber
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type BGPPeer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec bgp.Peer `json:"spec"`
}

// BGPPeerList is a list of these objects.
//
// +kubebuilder:object:root=true
type BGPPeerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BGPPeer `json:"items"`
}

// BGPFilter is a list of rules for the routes of a peering.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=bgpfilters,singular=bgpfilter
type BGPFilter struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec bgp.Filter `json:"spec"`
}

// BGPFilterList is a list of these objects.
//
// +kubebuilder:object:root=true
type BGPFilterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BGPFilter `json:"items"`
}
