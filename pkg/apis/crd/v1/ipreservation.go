package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IPReservation sets addresses aside: they are given out only when asked for by name.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=ipreservations,singular=ipreservation
type IPReservation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the whole of the object.
	Spec IPReservationSpec `json:"spec,omitempty"`

	Unknown Unknown `json:"-"`
}

// IPReservationSpec lists what is set aside.
//
// +kubebuilder:pruning:PreserveUnknownFields
type IPReservationSpec struct {
	// ReservedCIDRs are CIDRs or single addresses.
	// +kubebuilder:validation:MaxItems=10000
	// +kubebuilder:validation:items:MaxLength=50
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self) || isIP(self)",message="must be a CIDR or an address"
	// +optional
	ReservedCIDRs []string `json:"reservedCIDRs,omitempty"`

	Unknown Unknown `json:"-"`
}

// IPReservationList is a list of these objects.
//
// +kubebuilder:object:root=true
type IPReservationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPReservation `json:"items"`
}

// UnmarshalJSON keeps the fields that the type does not know.
func (s *IPReservationSpec) UnmarshalJSON(data []byte) error {
	type plain IPReservationSpec
	return decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (s IPReservationSpec) MarshalJSON() ([]byte, error) {
	type plain IPReservationSpec
	return encode(plain(s), s.Unknown)
}

// UnmarshalJSON keeps the fields that the type does not know.
func (o *IPReservation) UnmarshalJSON(data []byte) error {
	type plain IPReservation
	return decode(data, (*plain)(o), &o.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (o IPReservation) MarshalJSON() ([]byte, error) {
	type plain IPReservation
	return encode(plain(o), o.Unknown)
}
