package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// BlockAffinity is the claim of a node on a block. Its name is "<node>-<name of the block>".
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=blockaffinities,singular=blockaffinity
type BlockAffinity struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the whole of the object.
	Spec BlockAffinitySpec `json:"spec,omitempty"`
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
func (s *BlockAffinitySpec) UnmarshalJSON(data []byte) (err error) {
	type plain BlockAffinitySpec
	s.Unknown, err = decodeKnown(data, (*plain)(s), "state", "node", "type", "cidr", "deleted")
	return err
}

// MarshalJSON writes the unknown fields as well.
func (s BlockAffinitySpec) MarshalJSON() ([]byte, error) {
	type plain BlockAffinitySpec
	return encodeKnown(plain(s), s.Unknown)
}
