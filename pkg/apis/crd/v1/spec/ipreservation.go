// SPDX-License-Identifier: Apache-2.0

package spec

// IPReservation is the content of an IPReservation object.
//
// +kubebuilder:pruning:PreserveUnknownFields
type IPReservation struct {
	// ReservedCIDRs are CIDRs or single addresses.
	// +kubebuilder:validation:MaxItems=10000
	// +kubebuilder:validation:items:MaxLength=50
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self) || isIP(self)",message="must be a CIDR or an address"
	// +optional
	ReservedCIDRs []string `json:"reservedCIDRs,omitempty"`

	Unknown Unknown `json:"-"`
}

// UnmarshalJSON keeps unknown fields.
func (s *IPReservation) UnmarshalJSON(data []byte) error {
	type plain IPReservation
	return Decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (s IPReservation) MarshalJSON() ([]byte, error) {
	type plain IPReservation
	return Encode(plain(s), s.Unknown)
}
