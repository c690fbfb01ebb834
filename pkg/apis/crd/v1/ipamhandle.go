// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/pkg/apis/crd/v1/spec"
)

// IPAMHandle counts the addresses that are allocated under one handle, per block. Its name is the handle ID in lower
// case.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=ipamhandles,singular=ipamhandle
type IPAMHandle struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec spec.IPAMHandle `json:"spec,omitempty"`

	Unknown spec.Unknown `json:"-"`
}

// IPAMHandleList is a list of these objects.
//
// +kubebuilder:object:root=true
type IPAMHandleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPAMHandle `json:"items"`
}

// UnmarshalJSON keeps unknown fields.
func (o *IPAMHandle) UnmarshalJSON(data []byte) error {
	type plain IPAMHandle
	return spec.Decode(data, (*plain)(o), &o.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (o IPAMHandle) MarshalJSON() ([]byte, error) {
	type plain IPAMHandle
	return spec.Encode(plain(o), o.Unknown)
}
