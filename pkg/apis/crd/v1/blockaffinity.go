package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

	// Spec is the whole of the object.
	Spec BlockAffinitySpec `json:"spec,omitempty"`

	Unknown Unknown `json:"-"`
}

// BlockAffinitySpec is the content of a claim.
//
// +kubebuilder:pruning:PreserveUnknownFields
type BlockAffinitySpec struct {
	// State is "pending", "confirmed" or "pendingDeletion"; empty means confirmed.
	State string `json:"state"`
	// Node that claims the block.
	Node string `json:"node"`
	// Type is "host" or "virtual"; empty means host.
	// +optional
	Type string `json:"type,omitempty"`
	// CIDR of the block.
	CIDR string `json:"cidr"`
	// Deleted is "true" when the deletion of the claim has begun, else "false": a string.
	Deleted string `json:"deleted"`

	Unknown Unknown `json:"-"`
}

// BlockAffinityList is a list of these objects.
//
// +kubebuilder:object:root=true
type BlockAffinityList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BlockAffinity `json:"items"`
}

// UnmarshalJSON keeps the fields that the type does not know.
func (s *BlockAffinitySpec) UnmarshalJSON(data []byte) error {
	type plain BlockAffinitySpec
	return decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (s BlockAffinitySpec) MarshalJSON() ([]byte, error) {
	type plain BlockAffinitySpec
	return encode(plain(s), s.Unknown)
}

// UnmarshalJSON keeps the fields that the type does not know.
func (o *BlockAffinity) UnmarshalJSON(data []byte) error {
	type plain BlockAffinity
	return decode(data, (*plain)(o), &o.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (o BlockAffinity) MarshalJSON() ([]byte, error) {
	type plain BlockAffinity
	return encode(plain(o), o.Unknown)
}
