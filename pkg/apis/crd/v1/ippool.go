// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/pkg/apis/crd/v1/spec"
)

// IPPool is a range of addresses that is divided into blocks.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=ippools,singular=ippool
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name=CIDR,type=string,JSONPath=.spec.cidr
// +kubebuilder:printcolumn:name=Nodes,type=string,JSONPath=.spec.nodeSelector
// +kubebuilder:printcolumn:name=Mode,type=string,JSONPath=.spec.assignmentMode
// +kubebuilder:printcolumn:name=Disabled,type=boolean,JSONPath=.spec.disabled
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type IPPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec spec.IPPool `json:"spec,omitempty"`

	// Status is written by controllers.
	// +optional
	Status IPPoolStatus `json:"status,omitzero"`

	Unknown spec.Unknown `json:"-"`
}

// IPPoolStatus is the status of a pool, as reported by controllers.
//
// +kubebuilder:pruning:PreserveUnknownFields
type IPPoolStatus struct {
	// Conditions of the pool. If Allocatable is False, no addresses are allocated from the pool.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// IPPoolList is a list of these objects.
//
// +kubebuilder:object:root=true
type IPPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPPool `json:"items"`
}

// UnmarshalJSON keeps unknown fields.
func (o *IPPool) UnmarshalJSON(data []byte) error {
	type plain IPPool
	return spec.Decode(data, (*plain)(o), &o.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (o IPPool) MarshalJSON() ([]byte, error) {
	type plain IPPool
	return spec.Encode(plain(o), o.Unknown)
}
