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
}

// IPReservationSpec lists what is set aside.
//
// +kubebuilder:pruning:PreserveUnknownFields
type IPReservationSpec struct {
	// ReservedCIDRs are CIDRs or single addresses.
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
func (s *IPReservationSpec) UnmarshalJSON(data []byte) (err error) {
	type plain IPReservationSpec
	s.Unknown, err = decodeKnown(data, (*plain)(s), "reservedCIDRs")
	return err
}

// MarshalJSON writes the unknown fields as well.
func (s IPReservationSpec) MarshalJSON() ([]byte, error) {
	type plain IPReservationSpec
	return encodeKnown(plain(s), s.Unknown)
}
