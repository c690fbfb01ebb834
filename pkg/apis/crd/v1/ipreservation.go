// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/pkg/apis/crd/v1/spec"
)

// IPReservation reserves addresses. They are allocated only if a request names them.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=ipreservations,singular=ipreservation
type IPReservation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the content of the object.
	Spec spec.IPReservation `json:"spec,omitempty"`

	Unknown spec.Unknown `json:"-"`
}

// IPReservationList is a list of these objects.
//
// +kubebuilder:object:root=true
type IPReservationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPReservation `json:"items"`
}

// UnmarshalJSON keeps unknown fields.
func (o *IPReservation) UnmarshalJSON(data []byte) error {
	type plain IPReservation
	return spec.Decode(data, (*plain)(o), &o.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (o IPReservation) MarshalJSON() ([]byte, error) {
	type plain IPReservation
	return spec.Encode(plain(o), o.Unknown)
}
