// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/pkg/apis/crd/v1/spec"
)

// IPAMBlock is a CIDR from which addresses are allocated. At most one node has an affinity for it. Its name is the CIDR
// with each of ".", ":" and "/" replaced by "-".
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=ipamblocks,singular=ipamblock
// +kubebuilder:printcolumn:name=CIDR,type=string,JSONPath=.spec.cidr
// +kubebuilder:printcolumn:name=Affinity,type=string,JSONPath=.spec.affinity
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type IPAMBlock struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec spec.IPAMBlock `json:"spec,omitempty"`

	Unknown spec.Unknown `json:"-"`
}

// IPAMBlockList is a list of blocks.
//
// +kubebuilder:object:root=true
type IPAMBlockList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPAMBlock `json:"items"`
}

// UnmarshalJSON keeps unknown fields.
func (o *IPAMBlock) UnmarshalJSON(data []byte) error {
	type plain IPAMBlock
	return spec.Decode(data, (*plain)(o), &o.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (o IPAMBlock) MarshalJSON() ([]byte, error) {
	type plain IPAMBlock
	return spec.Encode(plain(o), o.Unknown)
}
