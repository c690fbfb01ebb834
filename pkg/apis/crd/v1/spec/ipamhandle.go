// SPDX-License-Identifier: Apache-2.0

package spec

// IPAMHandle is the content of an IPAMHandle object.
//
// +kubebuilder:pruning:PreserveUnknownFields
type IPAMHandle struct {
	// HandleID in its original case.
	HandleID string `json:"handleID"`
	// Block has the number of addresses per block, by the block's CIDR.
	Block map[string]int `json:"block"`
	// Deleted is true once the deletion of the handle has begun.
	// +optional
	Deleted bool `json:"deleted"`

	Unknown Unknown `json:"-"`
}

// UnmarshalJSON keeps unknown fields.
func (s *IPAMHandle) UnmarshalJSON(data []byte) error {
	type plain IPAMHandle
	return Decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (s IPAMHandle) MarshalJSON() ([]byte, error) {
	type plain IPAMHandle
	if s.Block == nil {
		s.Block = map[string]int{}
	}
	return Encode(plain(s), s.Unknown)
}
