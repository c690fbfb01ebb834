package spec

import (
	"encoding/json"
	"slices"
)

// IPAMBlock is the content of a block.
//
// +kubebuilder:pruning:PreserveUnknownFields
type IPAMBlock struct {
	// CIDR of the block.
	CIDR string `json:"cidr"`
	// Affinity is "host:<node>", "virtual:load-balancer", or absent when nobody owns the block.
	// +optional
	// +nullable
	Affinity *string `json:"affinity,omitempty"`
	// AffinityClaimTime is when the affinity was taken.
	// +optional
	// +nullable
	AffinityClaimTime *Time `json:"affinityClaimTime,omitempty"`
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
	ReleasedAt *Time `json:"releasedAt,omitempty"`

	Unknown Unknown `json:"-"`
}

// plainBlock and plainAttribute are read and written by encoding/json alone.
type (
	plainBlock     IPAMBlock
	plainAttribute AllocationAttribute
)

// wholeBlock is a block, attributes and all, without anything unknown: nearly every one is, and is read and written at
// once, where to go by attributes would look at most of its text several times.
type wholeBlock struct {
	*plainBlock
	Attributes []plainAttribute `json:"attributes"`
}

// UnmarshalJSON keeps the fields that the type does not know.
func (s *IPAMBlock) UnmarshalJSON(data []byte) error {
	whole := wholeBlock{plainBlock: new(plainBlock)}
	if strict(data, &whole) != nil {
		*s = IPAMBlock{}
		return Decode(data, (*plainBlock)(s), &s.Unknown)
	}
	*s = IPAMBlock(*whole.plainBlock)
	if whole.Attributes != nil {
		s.Attributes = make([]AllocationAttribute, len(whole.Attributes))
	}
	for i, a := range whole.Attributes {
		s.Attributes[i] = AllocationAttribute(a)
	}
	return nil
}

// MarshalJSON writes the required lists even when they are empty, and the unknown fields.
func (s IPAMBlock) MarshalJSON() ([]byte, error) {
	if s.Allocations == nil {
		s.Allocations = []*int{}
	}
	if s.Unallocated == nil {
		s.Unallocated = []int{}
	}
	if s.Attributes == nil {
		s.Attributes = []AllocationAttribute{}
	}
	if len(s.Unknown) > 0 || slices.ContainsFunc(s.Attributes, func(a AllocationAttribute) bool { return len(a.Unknown) > 0 }) {
		return Encode(plainBlock(s), s.Unknown)
	}
	whole := wholeBlock{(*plainBlock)(&s), make([]plainAttribute, len(s.Attributes))}
	for i, a := range s.Attributes {
		whole.Attributes[i] = plainAttribute(a)
	}
	return json.Marshal(whole)
}

// UnmarshalJSON keeps the fields that the type does not know.
func (a *AllocationAttribute) UnmarshalJSON(data []byte) error {
	return Decode(data, (*plainAttribute)(a), &a.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (a AllocationAttribute) MarshalJSON() ([]byte, error) {
	return Encode(plainAttribute(a), a.Unknown)
}
