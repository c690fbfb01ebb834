// SPDX-License-Identifier: Apache-2.0

package memstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

const (
	// maxName is the longest name of an object.
	maxName = 253
	// maxObject is the approximate size of the largest object, in bytes: etcd accepts requests of up to 1.5 MiB.
	maxObject = 3 << 19
)

// subdomain matches the names that the API server accepts (RFC 1123).
var subdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func refusedName(name string) error {
	if len(name) > maxName || !subdomain.MatchString(name) {
		return fmt.Errorf("%w: name %q is not a lowercase RFC 1123 subdomain", ErrInvalid, name)
	}
	return nil
}

// seconds returns a time with the precision of an object.
func seconds(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

type blockCodec struct{}

func (blockCodec) name(cidr netip.Prefix) string { return cidr.String() }

func (blockCodec) refused(netip.Prefix) error { return nil }

func (blockCodec) clone(b block.Block) block.Block { return b.Clone() }

func (blockCodec) settle(b block.Block, _ *block.Block) (block.Block, error) {
	b = b.Clone()
	b.ClaimTime = seconds(b.ClaimTime)
	b.Allocations, b.Unallocated = notNil(b.Allocations), notNil(b.Unallocated)
	if b.SequenceAt == nil {
		b.SequenceAt = map[int]int64{}
	}
	size := 0
	for i := range b.Attributes {
		a := &b.Attributes[i]
		a.ReleasedAt = seconds(a.ReleasedAt)
		a.Owner, a.AlternateOwner = nilIfEmpty(a.Owner), nilIfEmpty(a.AlternateOwner)
		for name, raw := range a.Unknown {
			settled, err := settleJSON(raw)
			if err != nil {
				return b, fmt.Errorf("%w: field %s: %w", ErrInvalid, name, err)
			}
			a.Unknown[name] = settled
		}
		size += len(a.Handle)
		for k, v := range a.Owner {
			size += len(k) + len(v)
		}
	}
	if size > maxObject {
		return b, fmt.Errorf("%w: request is too large", ErrInvalid)
	}
	return b, nil
}

// settleJSON returns a field as the server writes it: without spaces, with sorted keys.
func settleJSON(raw json.RawMessage) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func notNil(list []int) []int {
	if list == nil {
		return []int{}
	}
	return list
}

func nilIfEmpty(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}

// check rejects a malformed block. Any writer can store one, but no reader can use it.
func (blockCodec) check(b block.Block) error {
	if err := b.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ipam.ErrMalformed, err)
	}
	return nil
}

func (blockCodec) same(a, b block.Block) bool {
	return a.CIDR == b.CIDR && a.Affinity == b.Affinity && a.ClaimTime.Equal(b.ClaimTime) && a.Sequence == b.Sequence &&
		slices.Equal(a.Allocations, b.Allocations) && slices.Equal(a.Unallocated, b.Unallocated) &&
		maps.Equal(a.SequenceAt, b.SequenceAt) && slices.EqualFunc(a.Attributes, b.Attributes, sameAttribute)
}

func sameAttribute(a, b block.Attribute) bool {
	return a.Handle == b.Handle && maps.Equal(a.Owner, b.Owner) && maps.Equal(a.AlternateOwner, b.AlternateOwner) &&
		a.ReleasedAt.Equal(b.ReleasedAt) && maps.EqualFunc(a.Unknown, b.Unknown, sameJSON)
}

func sameJSON(a, b json.RawMessage) bool { return bytes.Equal(a, b) }

type affinityCodec struct{ store *Store }

func (affinityCodec) name(k ipam.AffinityKey) string { return k.Node + " " + k.CIDR.String() }

func (affinityCodec) refused(k ipam.AffinityKey) error { return refusedName(k.Node) }

func (affinityCodec) clone(a ipam.Affinity) ipam.Affinity { return a }

// settle sets the creation time of a new row. Updates keep it.
func (c affinityCodec) settle(a ipam.Affinity, old *ipam.Affinity) (ipam.Affinity, error) {
	if a.State == "" {
		a.State = ipam.Confirmed
	}
	if old == nil {
		a.Created = seconds(c.store.Now())
	} else {
		a.Created = old.Created
	}
	return a, nil
}

func (affinityCodec) check(ipam.Affinity) error { return nil }

func (affinityCodec) same(a, b ipam.Affinity) bool { return a == b }

type handleCodec struct{}

// name is in lower case: IDs that differ only in case have the same object.
func (handleCodec) name(id string) string { return strings.ToLower(id) }

func (c handleCodec) refused(id string) error { return refusedName(c.name(id)) }

func (handleCodec) clone(h ipam.Handle) ipam.Handle { h.Counts = maps.Clone(h.Counts); return h }

func (handleCodec) settle(h ipam.Handle, _ *ipam.Handle) (ipam.Handle, error) {
	counts := make(map[netip.Prefix]int, len(h.Counts))
	for cidr, n := range h.Counts {
		counts[cidr.Masked()] += n
	}
	h.Counts = counts
	return h, nil
}

func (handleCodec) check(ipam.Handle) error { return nil }

func (handleCodec) same(a, b ipam.Handle) bool {
	ac, bc := a.Counts, b.Counts
	a.Counts, b.Counts = nil, nil
	return reflect.DeepEqual(a, b) && maps.Equal(ac, bc)
}
