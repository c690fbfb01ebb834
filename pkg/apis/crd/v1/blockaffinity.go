// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/pkg/apis/crd/v1/spec"
)

// BlockAffinity is the claim of a node on a block. Its name is "<node>-<name of the block>".
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=blockaffinities,singular=blockaffinity
// +kubebuilder:printcolumn:name=Node,type=string,JSONPath=.spec.node
// +kubebuilder:printcolumn:name=CIDR,type=string,JSONPath=.spec.cidr
// +kubebuilder:printcolumn:name=State,type=string,JSONPath=.spec.state
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type BlockAffinity struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec spec.BlockAffinity `json:"spec,omitempty"`

	Unknown spec.Unknown `json:"-"`
}

// BlockAffinityList is a list of these objects.
//
// +kubebuilder:object:root=true
type BlockAffinityList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BlockAffinity `json:"items"`
}

// UnmarshalJSON keeps unknown fields.
func (o *BlockAffinity) UnmarshalJSON(data []byte) error {
	type plain BlockAffinity
	return spec.Decode(data, (*plain)(o), &o.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (o BlockAffinity) MarshalJSON() ([]byte, error) {
	type plain BlockAffinity
	return spec.Encode(plain(o), o.Unknown)
}
