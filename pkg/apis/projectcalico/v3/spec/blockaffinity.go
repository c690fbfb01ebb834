// SPDX-License-Identifier: Apache-2.0

package spec

import v1 "calico-cni/pkg/apis/crd/v1/spec"

// BlockAffinity is the content of a BlockAffinity object.
//
// +kubebuilder:pruning:PreserveUnknownFields
type BlockAffinity struct {
	// State is "pending", "confirmed" or "pendingDeletion"; empty means confirmed.
	// +kubebuilder:validation:Enum="";confirmed;pending;pendingDeletion
	State string `json:"state"`
	// Node that has the affinity.
	Node string `json:"node"`
	// Type is "host" or "virtual"; empty means host.
	// +optional
	Type string `json:"type,omitempty"`
	// CIDR of the block.
	// +kubebuilder:validation:Format=cidr
	CIDR string `json:"cidr"`
	// Deleted is true once the deletion has begun. In crd.projectcalico.org it is a string.
	// +kubebuilder:default=false
	Deleted bool `json:"deleted"`

	Unknown v1.Unknown `json:"-"`
}

// UnmarshalJSON keeps unknown fields.
func (s *BlockAffinity) UnmarshalJSON(data []byte) error {
	type plain BlockAffinity
	return v1.Decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (s BlockAffinity) MarshalJSON() ([]byte, error) {
	type plain BlockAffinity
	return v1.Encode(plain(s), s.Unknown)
}
