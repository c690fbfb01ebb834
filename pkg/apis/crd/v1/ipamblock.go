package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IPAMBlock is a CIDR of addresses, one unit of allocation, owned by one node or by nobody. Its name is the CIDR with
// each of ".", ":" and "/" turned into "-".
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=ipamblocks,singular=ipamblock
// +kubebuilder:printcolumn:name=CIDR,type=string,JSONPath=.spec.cidr
// +kubebuilder:printcolumn:name=Affinity,type=string,JSONPath=.spec.affinity
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type IPAMBlock struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the whole of the block.
	Spec IPAMBlockSpec `json:"spec,omitempty"`

	Unknown Unknown `json:"-"`
}

// IPAMBlockSpec is the content of a block.
//
// +kubebuilder:pruning:PreserveUnknownFields
type IPAMBlockSpec struct {
	// CIDR of the block.
	CIDR string `json:"cidr"`
	// Affinity is "host:<node>", "virtual:load-balancer", or absent when nobody owns the block.
	// +optional
	// +nullable
	Affinity *string `json:"affinity,omitempty"`
	// AffinityClaimTime is when the affinity was taken.
	// +optional
	// +nullable
	AffinityClaimTime *metav1.Time `json:"affinityClaimTime,omitempty"`
	// Allocations has one entry an address: null when it is free, else an index into attributes.
	Allocations []*int `json:"allocations"`
	// Unallocated are the ordinals of the free addresses; the head is given out next.
	Unallocated []int `json:"unallocated"`
	// Attributes say who holds the addresses.
	Attributes []AllocationAttribute `json:"attributes"`
	// SequenceNumber grows by one with each write.
	// +optional
	SequenceNumber int64 `json:"sequenceNumber,omitempty"`
	// SequenceNumberForAllocation has, for each allocated ordinal, the sequence number when it was allocated.
	// +optional
	// +nullable
	SequenceNumberForAllocation map[string]int64 `json:"sequenceNumberForAllocation,omitempty"`
	// Deleted says that the deletion of the block has begun.
	// +optional
	Deleted bool `json:"deleted,omitempty"`
	// StrictAffinity is deprecated: written false, ignored on read.
	StrictAffinity bool `json:"strictAffinity"`
	// HostAffinity is deprecated: the owning node, in blocks of old writers.
	// +optional
	// +nullable
	HostAffinity *string `json:"hostAffinity,omitempty"`

	Unknown Unknown `json:"-"`
}

// AllocationAttribute says who holds an address, or when it was released.
//
// +kubebuilder:pruning:PreserveUnknownFields
type AllocationAttribute struct {
	// HandleID names the handle that the address is released by.
	// +optional
	// +nullable
	HandleID *string `json:"handle_id,omitempty"`
	// Secondary describes the holder: pod, namespace, node, timestamp, type.
	// +optional
	// +nullable
	Secondary map[string]string `json:"secondary,omitempty"`
	// AlternateOwnerAttrs describe the other holder during a live migration.
	// +optional
	// +nullable
	AlternateOwnerAttrs map[string]string `json:"alternateOwnerAttrs,omitempty"`
	// ReleasedAt is when the address was released into its cooldown.
	// +optional
	// +nullable
	ReleasedAt *metav1.Time `json:"releasedAt,omitempty"`

	Unknown Unknown `json:"-"`
}

// IPAMBlockList is a list of blocks.
//
// +kubebuilder:object:root=true
type IPAMBlockList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPAMBlock `json:"items"`
}

// UnmarshalJSON keeps the fields that the type does not know.
func (s *IPAMBlockSpec) UnmarshalJSON(data []byte) error {
	type plain IPAMBlockSpec
	return decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the required lists even when they are empty, and the unknown fields.
func (s IPAMBlockSpec) MarshalJSON() ([]byte, error) {
	type plain IPAMBlockSpec
	if s.Allocations == nil {
		s.Allocations = []*int{}
	}
	if s.Unallocated == nil {
		s.Unallocated = []int{}
	}
	if s.Attributes == nil {
		s.Attributes = []AllocationAttribute{}
	}
	return encode(plain(s), s.Unknown)
}

// UnmarshalJSON keeps the fields that the type does not know.
func (a *AllocationAttribute) UnmarshalJSON(data []byte) error {
	type plain AllocationAttribute
	return decode(data, (*plain)(a), &a.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (a AllocationAttribute) MarshalJSON() ([]byte, error) {
	type plain AllocationAttribute
	return encode(plain(a), a.Unknown)
}

// UnmarshalJSON keeps the fields that the type does not know.
func (o *IPAMBlock) UnmarshalJSON(data []byte) error {
	type plain IPAMBlock
	return decode(data, (*plain)(o), &o.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (o IPAMBlock) MarshalJSON() ([]byte, error) {
	type plain IPAMBlock
	return encode(plain(o), o.Unknown)
}
