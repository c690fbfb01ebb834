// Package block is the arithmetic of one IPAM block: which of its addresses are free, who holds the others, and what
// was written when. A Block is a plain value; nothing here reads a clock or a store.
//
// A block is a CIDR whose addresses are numbered by ordinal: ordinal 0 is the CIDR's first address. An ordinal is free
// (it stands in the queue), allocated (it points to an attribute with an owner) or cooling (it points to an attribute
// that says only when it was released).
package block

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Free marks an ordinal in Block.Allocations that nobody holds.
const Free = -1

// MaxBits is the size of the largest block, in bits of the host part: 4096 addresses, a /20 or a /116.
const MaxBits = 12

// windowsReserved is the handle of the addresses that Windows nodes set aside in every block of theirs; a block that
// holds nothing else counts as empty.
const windowsReserved = "windows-reserved-ipam-handle"

// Errors of this package; match them with errors.Is.
var (
	// ErrMalformed: a block breaks an invariant of the data model and cannot be worked with.
	ErrMalformed = errors.New("malformed IPAM block")
	// ErrOutside: an address is not one of the block's.
	ErrOutside = errors.New("address lies outside the block")
	// ErrTaken: an address asked for by name is allocated or cooling.
	ErrTaken = errors.New("address is taken")
)

// Block is one IPAM block as stored, free of any store's envelope.
type Block struct {
	// CIDR is the block's own prefix, masked.
	CIDR netip.Prefix
	// Affinity is "host:<node>", "virtual:load-balancer", or empty when no node owns the block.
	Affinity string
	// ClaimTime is when the affinity was taken; zero in blocks of older writers.
	ClaimTime time.Time
	// Sequence counts the writes of the block; it starts at a wall-clock time in nanoseconds.
	Sequence int64
	// Allocations has one entry an ordinal: Free, or an index into Attributes.
	Allocations []int
	// Unallocated is the queue of the free ordinals: allocation takes the head, release appends at the tail.
	Unallocated []int
	// Attributes are the owners; several ordinals may share one.
	Attributes []Attribute
	// SequenceAt is, for each allocated ordinal, the block's Sequence when it was allocated. Older blocks lack entries.
	SequenceAt map[int]int64
}

// Attribute says who holds an address.
type Attribute struct {
	// Handle is the handle ID that the address is released by; empty in a cooling attribute.
	Handle string
	// Owner describes the holder: pod, namespace, node, timestamp, type. It is stored under the key "secondary".
	Owner map[string]string
	// AlternateOwner is the holder during a live migration.
	AlternateOwner map[string]string
	// ReleasedAt is when the address was released into its cooldown; zero while it is held.
	ReleasedAt time.Time
	// Unknown are fields of newer writers, kept as they are.
	Unknown map[string]json.RawMessage
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

// Clone returns a deep copy: changing it leaves b as it is.
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

// Validate returns an error that wraps ErrMalformed when b breaks the data model so that no operation on it is safe:
// its size, an index out of range, or an ordinal that is both free and allocated, or neither.
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

// Addr returns the address of an ordinal. The ordinal must lie within the block.
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

// Usage counts the ordinals by what they are.
type Usage struct{ Free, Used, Cooling int }

// Usage returns how many addresses are free, held and cooling; their sum is the block's size.
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

// Empty reports whether nobody holds an address of the block and none is cooling.
func (b Block) Empty() bool {
	for _, a := range b.Allocations {
		if a != Free && b.Attributes[a].Handle != windowsReserved {
			return false
		}
	}
	return true
}

// SameHandle reports whether a stored handle is the wanted one: an old migration left some handles with a carriage
// return and rubbish behind it, which do not count.
func SameHandle(stored, want string) bool {
	stored, _, _ = strings.Cut(stored, "\r")
	return stored == want
}

func (a Attribute) cooling() bool { return !a.ReleasedAt.IsZero() && a.Handle == "" }

func (a Attribute) clone() Attribute {
	a.Owner, a.AlternateOwner, a.Unknown = maps.Clone(a.Owner), maps.Clone(a.AlternateOwner), maps.Clone(a.Unknown)
	return a
}

func (a Attribute) equal(o Attribute) bool {
	return a.Handle == o.Handle && a.ReleasedAt.Equal(o.ReleasedAt) && len(a.Unknown) == 0 && len(o.Unknown) == 0 &&
		maps.Equal(a.Owner, o.Owner) && maps.Equal(a.AlternateOwner, o.AlternateOwner)
}
