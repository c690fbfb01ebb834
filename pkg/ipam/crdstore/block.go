// SPDX-License-Identifier: Apache-2.0

package crdstore

import (
	"net/netip"
	"strconv"
	"time"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/kubeapi"
)

type blockCodec struct{}

func (blockCodec) name(cidr netip.Prefix) string { return spec.BlockName(cidr) }

func (blockCodec) decode(o *kubeapi.Object[spec.IPAMBlock]) (b block.Block, deleted bool, err error) {
	if b.CIDR, err = parseCIDR("IPAMBlock", o.Metadata.Name, o.Spec.CIDR); err != nil {
		return b, false, err
	}
	if o.Metadata.Name != spec.BlockName(b.CIDR) {
		return b, false, malformed("IPAMBlock", o.Metadata.Name,
			"cidr %s belongs in an object named %s", b.CIDR, spec.BlockName(b.CIDR))
	}
	b.Affinity = spec.OwnerOfBlock(o.Spec.Affinity, o.Spec.HostAffinity)
	if o.Spec.AffinityClaimTime != nil {
		b.ClaimTime = o.Spec.AffinityClaimTime.Time
	}
	b.Sequence = o.Spec.SequenceNumber
	b.Unallocated = o.Spec.Unallocated
	b.Allocations = make([]int, len(o.Spec.Allocations))
	for i, a := range o.Spec.Allocations {
		b.Allocations[i] = block.Free
		if a != nil {
			b.Allocations[i] = *a
		}
	}
	b.Attributes = make([]block.Attribute, len(o.Spec.Attributes))
	for i, a := range o.Spec.Attributes {
		b.Attributes[i] = decodeAttribute(a)
	}
	b.SequenceAt = make(map[int]int64, len(o.Spec.SequenceNumberForAllocation))
	for text, n := range o.Spec.SequenceNumberForAllocation {
		ordinal, err := strconv.Atoi(text)
		if err != nil {
			return b, false, malformed("IPAMBlock", o.Metadata.Name,
				"sequenceNumberForAllocation has the key %q: want the number of an address in the block", text)
		}
		b.SequenceAt[ordinal] = n
	}
	if err := b.Validate(); err != nil {
		return b, false, malformed("IPAMBlock", o.Metadata.Name, "%v", err)
	}
	return b.Clone(), o.Spec.Deleted, nil
}

func decodeAttribute(a spec.AllocationAttribute) block.Attribute {
	out := block.Attribute{Owner: a.Secondary, AlternateOwner: a.AlternateOwnerAttrs, Unknown: a.Unknown}
	if a.HandleID != nil {
		out.Handle = *a.HandleID
	}
	if a.ReleasedAt != nil {
		out.ReleasedAt = a.ReleasedAt.Time
	}
	return out
}

func (blockCodec) fill(o *kubeapi.Object[spec.IPAMBlock], cidr netip.Prefix, b block.Block, deleted bool) {
	o.Metadata.Name = spec.BlockName(cidr)
	s := &o.Spec
	s.CIDR, s.Deleted, s.SequenceNumber = cidr.String(), deleted, b.Sequence
	s.Affinity, s.HostAffinity = nil, nil
	if b.Affinity != "" {
		s.Affinity = &b.Affinity
	}
	s.AffinityClaimTime = timeOrNil(b.ClaimTime)
	s.Allocations = make([]*int, len(b.Allocations))
	for i, a := range b.Allocations {
		if a != block.Free {
			s.Allocations[i] = &b.Allocations[i]
		}
	}
	s.Unallocated = b.Unallocated
	s.Attributes = make([]spec.AllocationAttribute, len(b.Attributes))
	for i, a := range b.Attributes {
		s.Attributes[i] = spec.AllocationAttribute{
			Secondary: a.Owner, AlternateOwnerAttrs: a.AlternateOwner, ReleasedAt: timeOrNil(a.ReleasedAt), Unknown: a.Unknown,
		}
		if a.Handle != "" {
			s.Attributes[i].HandleID = &b.Attributes[i].Handle
		}
	}
	s.SequenceNumberForAllocation = make(map[string]int64, len(b.SequenceAt))
	for ordinal, n := range b.SequenceAt {
		s.SequenceNumberForAllocation[strconv.Itoa(ordinal)] = n
	}
}

func timeOrNil(t time.Time) *spec.Time {
	if t.IsZero() {
		return nil
	}
	// A write returns the same value as a read.
	return &spec.Time{Time: t.UTC().Truncate(time.Second)}
}
