package crdstore

import (
	"net/netip"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "calico-cni/pkg/apis/crd/v1"
	"calico-cni/pkg/ipam/block"
)

type blockCodec struct{}

func (blockCodec) name(cidr netip.Prefix) string { return cidrName(cidr) }

func (blockCodec) decode(o *v1.IPAMBlock) (b block.Block, deleted bool, err error) {
	if b.CIDR, err = parseCIDR("IPAMBlock", o.Name, o.Spec.CIDR); err != nil {
		return b, false, err
	}
	switch {
	case o.Spec.Affinity != nil:
		b.Affinity = *o.Spec.Affinity
	case o.Spec.HostAffinity != nil && *o.Spec.HostAffinity != "":
		b.Affinity = v1.AffinityHostPrefix + *o.Spec.HostAffinity
	}
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
			return b, false, malformed("IPAMBlock", o.Name, "sequenceNumberForAllocation has the key %q, which is no ordinal", text)
		}
		b.SequenceAt[ordinal] = n
	}
	if err := b.Validate(); err != nil {
		return b, false, malformed("IPAMBlock", o.Name, "%v", err)
	}
	return b.Clone(), o.Spec.Deleted, nil
}

func decodeAttribute(a v1.AllocationAttribute) block.Attribute {
	out := block.Attribute{Owner: a.Secondary, AlternateOwner: a.AlternateOwnerAttrs, Unknown: a.Unknown}
	if a.HandleID != nil {
		out.Handle = *a.HandleID
	}
	if a.ReleasedAt != nil {
		out.ReleasedAt = a.ReleasedAt.Time
	}
	return out
}

func (blockCodec) fill(o *v1.IPAMBlock, cidr netip.Prefix, b block.Block, deleted bool) {
	o.APIVersion, o.Kind, o.Name = v1.GroupVersion.String(), "IPAMBlock", cidrName(cidr)
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
	s.Attributes = make([]v1.AllocationAttribute, len(b.Attributes))
	for i, a := range b.Attributes {
		s.Attributes[i] = v1.AllocationAttribute{
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

func (blockCodec) revision(o *v1.IPAMBlock) (uid, resourceVersion string) {
	return string(o.UID), o.ResourceVersion
}

func (blockCodec) clone(o *v1.IPAMBlock) *v1.IPAMBlock { return o.DeepCopy() }

func timeOrNil(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t}
}
