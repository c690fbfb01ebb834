// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"encoding/json"
	"slices"
)

// IPAMBlock is the content of an IPAMBlock object.
//
// +kubebuilder:pruning:PreserveUnknownFields
type IPAMBlock struct {
	// CIDR of the block.
	CIDR string `json:"cidr"`
	// Affinity is "host:<node>", "virtual:load-balancer", or absent if the block has no affinity.
	// +optional
	// +nullable
	Affinity *string `json:"affinity,omitempty"`
	// AffinityClaimTime is the time when the affinity was claimed.
	// +optional
	// +nullable
	AffinityClaimTime *Time `json:"affinityClaimTime,omitempty"`
	// Allocations has one entry per address: null if it is free, else an index into attributes.
	Allocations []*int `json:"allocations"`
	// Unallocated are the ordinals of the free addresses, in the order of their next allocation.
	Unallocated []int `json:"unallocated"`
	// Attributes describe the owners of the addresses.
	Attributes []AllocationAttribute `json:"attributes"`
	// SequenceNumber increases by one with each write.
	// +kubebuilder:default=0
	// +optional
	SequenceNumber int64 `json:"sequenceNumber,omitempty"`
	// SequenceNumberForAllocation has, for each allocated ordinal, the sequence number at its allocation.
	// +optional
	// +nullable
	SequenceNumberForAllocation map[string]int64 `json:"sequenceNumberForAllocation,omitempty"`
	// Deleted is true once the deletion of the block has begun.
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

// AllocationAttribute describes the owner of an address, or when the address was released.
//
// +kubebuilder:pruning:PreserveUnknownFields
type AllocationAttribute struct {
	// HandleID is the handle under which the address is allocated.
	// +optional
	// +nullable
	HandleID *string `json:"handle_id,omitempty"`
	// Secondary describes the owner: pod, namespace, node, timestamp, type.
	// +optional
	// +nullable
	Secondary map[string]string `json:"secondary,omitempty"`
	// AlternateOwnerAttrs describe the second owner during a live migration.
	// +optional
	// +nullable
	AlternateOwnerAttrs map[string]string `json:"alternateOwnerAttrs,omitempty"`
	// ReleasedAt is the time when the address was released and its cooldown began.
	// +optional
	// +nullable
	ReleasedAt *Time `json:"releasedAt,omitempty"`

	Unknown Unknown `json:"-"`
}

// plainBlock and plainAttribute have no JSON methods, so that encoding/json handles them.
type (
	plainBlock     IPAMBlock
	plainAttribute AllocationAttribute
)

// wholeBlock is a block with its attributes and without unknown fields. Nearly every block has this form. It is decoded
// and encoded in one pass; decoding the attributes separately would scan most of the text several times.
type wholeBlock struct {
	*plainBlock
	Attributes []plainAttribute `json:"attributes"`
}

// UnmarshalJSON keeps unknown fields.
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

// MarshalJSON writes the required lists even if they are empty, and the unknown fields.
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
	if len(s.Unknown) > 0 || slices.ContainsFunc(s.Attributes,
		func(a AllocationAttribute) bool { return len(a.Unknown) > 0 }) {
		return Encode(plainBlock(s), s.Unknown)
	}
	whole := wholeBlock{(*plainBlock)(&s), make([]plainAttribute, len(s.Attributes))}
	for i, a := range s.Attributes {
		whole.Attributes[i] = plainAttribute(a)
	}
	return json.Marshal(whole)
}

// UnmarshalJSON keeps unknown fields.
func (a *AllocationAttribute) UnmarshalJSON(data []byte) error {
	return Decode(data, (*plainAttribute)(a), &a.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (a AllocationAttribute) MarshalJSON() ([]byte, error) {
	return Encode(plainAttribute(a), a.Unknown)
}
