// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/pkg/apis/policy"
)

// GlobalNetworkSet is a set of networks that rules select by its labels.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=globalnetworksets,singular=globalnetworkset
type GlobalNetworkSet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec policy.NetworkSet `json:"spec,omitempty"`
}

// GlobalNetworkSetList is a list of these objects.
//
// +kubebuilder:object:root=true
type GlobalNetworkSetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []GlobalNetworkSet `json:"items"`
}

// NetworkSet is a set of networks that rules select by its labels and its namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,path=networksets,singular=networkset
type NetworkSet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec policy.NetworkSet `json:"spec,omitempty"`
}

// NetworkSetList is a list of these objects.
//
// +kubebuilder:object:root=true
type NetworkSetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NetworkSet `json:"items"`
}

// HostEndpoint makes policies apply to interfaces of a node.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=hostendpoints,singular=hostendpoint
type HostEndpoint struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec policy.HostEndpoint `json:"spec,omitempty"`
}

// HostEndpointList is a list of these objects.
//
// +kubebuilder:object:root=true
type HostEndpointList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HostEndpoint `json:"items"`
}
