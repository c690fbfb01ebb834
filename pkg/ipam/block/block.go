// SPDX-License-Identifier: Apache-2.0

// Package block allocates and releases addresses in the value of one IPAM block. It is pure: it reads no clock and no
// store.
//
// A block is a CIDR whose addresses are numbered by ordinals: ordinal 0 is the first address. An ordinal is free (it
// is in the queue), allocated (it points to an attribute with an owner), or cooling (it points to an attribute that
// has only the time of its release).
package block

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Free is the value of a free ordinal in Block.Allocations.
const Free = -1

// MaxBits is the size of the largest block, in bits of the host part: 4096 addresses, a /20 or a /116.
const MaxBits = 12

// windowsReserved is the handle of the addresses that Windows nodes reserve in each of their blocks. A block without
// other addresses counts as empty.
const windowsReserved = "windows-reserved-ipam-handle"

// Errors of this package; match them with errors.Is.
var (
	// ErrMalformed: a block violates the data model and cannot be used.
	ErrMalformed = errors.New("malformed IPAM block")
	// ErrOutside: an address lies outside of the block.
	ErrOutside = errors.New("address lies outside the block")
	// ErrTaken: a specific address is allocated or cooling.
	ErrTaken = errors.New("address is taken")
)

// Block is the value of one IPAM block, without the metadata of a store.
type Block struct {
	// CIDR is the block's own prefix, masked.
	CIDR netip.Prefix
	// Affinity is "host:<node>", "virtual:load-balancer", or empty if the block has no owner.
	Affinity string
	// ClaimTime is the time at which the block was claimed. It is zero in blocks of old writers.
	ClaimTime time.Time
	// Sequence is a counter that rises with every write. It starts at the wall-clock time in nanoseconds.
	Sequence int64
	// Allocations has one entry per ordinal: Free, or an index into Attributes.
	Allocations []int
	// Unallocated is the queue of free ordinals. Assign takes the first; Release appends.
	Unallocated []int
	// Attributes are the owners. Several ordinals may share one.
	Attributes []Attribute
	// SequenceAt has, for each allocated ordinal, the Sequence at which it was allocated. Old blocks lack entries.
	SequenceAt map[int]int64
}

// New returns an empty block owned by affinity, claimed at now.
func New(cidr netip.Prefix, affinity string, now time.Time) Block {
	n := 1 << (cidr.Addr().BitLen() - cidr.Bits())
	b := Block{
		CIDR:        cidr.Masked(),
		Affinity:    affinity,
		ClaimTime:   now,
		Sequence:    now.UnixNano(),
		Allocations: make([]int, n),
		Unallocated: make([]int, n),
		SequenceAt:  map[int]int64{},
	}
	for i := range n {
		b.Allocations[i], b.Unallocated[i] = Free, i
	}
	return b
}

// Clone returns a deep copy.
func (b Block) Clone() Block {
	b.Allocations = slices.Clone(b.Allocations)
	b.Unallocated = slices.Clone(b.Unallocated)
	b.SequenceAt = maps.Clone(b.SequenceAt)
	attributes := make([]Attribute, len(b.Attributes))
	for i, a := range b.Attributes {
		attributes[i] = a.clone()
	}
	b.Attributes = attributes
	return b
}

// Validate returns an error that wraps ErrMalformed if no operation on the block would be safe: it has a wrong size, an
// index is out of range, or an ordinal is both free and allocated, or neither.
func (b Block) Validate() error {
	if !b.CIDR.IsValid() || b.CIDR != b.CIDR.Masked() {
		return fmt.Errorf("%w: its cidr is not a network address with a prefix length", ErrMalformed)
	}
	bits := b.CIDR.Addr().BitLen() - b.CIDR.Bits()
	if bits > MaxBits {
		return fmt.Errorf("%w %s: larger than %d addresses", ErrMalformed, b.CIDR, 1<<MaxBits)
	}
	if n := 1 << bits; len(b.Allocations) != n {
		return fmt.Errorf("%w %s: %d allocations, want %d", ErrMalformed, b.CIDR, len(b.Allocations), n)
	}
	queued := make([]bool, len(b.Allocations))
	for _, o := range b.Unallocated {
		switch {
		case o < 0 || o >= len(queued):
			return fmt.Errorf("%w %s: free ordinal %d out of range", ErrMalformed, b.CIDR, o)
		case queued[o]:
			return fmt.Errorf("%w %s: ordinal %d is queued twice", ErrMalformed, b.CIDR, o)
		}
		queued[o] = true
	}
	for o, a := range b.Allocations {
		switch {
		case a < Free || a >= len(b.Attributes):
			return fmt.Errorf("%w %s: ordinal %d points to attribute %d of %d", ErrMalformed, b.CIDR, o, a, len(b.Attributes))
		case a == Free && !queued[o]:
			return fmt.Errorf("%w %s: ordinal %d is free but not queued", ErrMalformed, b.CIDR, o)
		case a != Free && queued[o]:
			return fmt.Errorf("%w %s: ordinal %d is allocated and queued", ErrMalformed, b.CIDR, o)
		}
	}
	return nil
}

// Addr returns the address of an ordinal of the block.
func (b Block) Addr(ordinal int) netip.Addr {
	bytes := b.CIDR.Addr().AsSlice()
	for i := len(bytes) - 1; ordinal > 0; i-- {
		bytes[i] |= byte(ordinal)
		ordinal >>= 8
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

// Ordinal returns the ordinal of an address, or an error that wraps ErrOutside.
func (b Block) Ordinal(addr netip.Addr) (int, error) {
	if !b.CIDR.Contains(addr) {
		return 0, fmt.Errorf("%w: %s is not in %s", ErrOutside, addr, b.CIDR)
	}
	base, bytes := b.CIDR.Addr().AsSlice(), addr.AsSlice()
	n := len(bytes)
	return int(bytes[n-2]^base[n-2])<<8 | int(bytes[n-1]^base[n-1]), nil
}

// Usage is the number of free, allocated and cooling addresses of a block.
type Usage struct{ Free, Used, Cooling int }

// Usage returns the number of free, allocated and cooling addresses. Their sum is the size of the block.
func (b Block) Usage() Usage {
	u := Usage{Free: len(b.Unallocated)}
	for _, a := range b.Allocations {
		switch {
		case a == Free:
		case b.Attributes[a].cooling():
			u.Cooling++
		default:
			u.Used++
		}
	}
	return u
}

// Empty reports whether no address of the block is allocated, or still cooling at now. With cooldown 0, cooling
// addresses do not count.
func (b Block) Empty(now time.Time, cooldown time.Duration) bool {
	for _, a := range b.Allocations {
		if a != Free && b.Attributes[a].Handle != windowsReserved && !b.Attributes[a].cooled(now, cooldown) {
			return false
		}
	}
	return true
}
