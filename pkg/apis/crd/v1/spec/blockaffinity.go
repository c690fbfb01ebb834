// SPDX-License-Identifier: Apache-2.0

package spec

// BlockAffinity is the content of a BlockAffinity object.
//
// +kubebuilder:pruning:PreserveUnknownFields
type BlockAffinity struct {
	// State is "pending", "confirmed" or "pendingDeletion"; empty means confirmed.
	State string `json:"state"`
	// Node that has the affinity.
	Node string `json:"node"`
	// Type is "host" or "virtual"; empty means host.
	// +optional
	Type string `json:"type,omitempty"`
	// CIDR of the block.
	CIDR string `json:"cidr"`
	// Deleted is the string "true" once the deletion has begun, else "false".
	Deleted string `json:"deleted"`

	Unknown Unknown `json:"-"`
}

// UnmarshalJSON keeps unknown fields.
func (s *BlockAffinity) UnmarshalJSON(data []byte) error {
	type plain BlockAffinity
	return Decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (s BlockAffinity) MarshalJSON() ([]byte, error) {
	type plain BlockAffinity
	return Encode(plain(s), s.Unknown)
}
