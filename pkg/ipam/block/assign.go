// SPDX-License-Identifier: Apache-2.0

package block

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Holding is one allocated address. A release that names both fields cannot release a later allocation of the address.
type Holding struct {
	Addr netip.Addr
	// Sequence is the sequence number of the block when the address was allocated, or 0 if the block has none.
	Sequence int64
}

// Assign allocates the address that has been free for longest, and returns it. It passes over addresses for which skip
// returns true; they keep their place in the queue. If there is no address, it returns false and changes nothing.
func (b *Block) Assign(owner Attribute, skip func(netip.Addr) bool) (Holding, bool) {
	for i, o := range b.Unallocated {
		if addr := b.Addr(o); skip == nil || !skip(addr) {
			return take(b, i, o, addr, owner), true
		}
	}
	return Holding{}, false
}

// AssignAddr allocates a specific address. If it cannot, it changes nothing and returns an error that wraps
// ErrOutside or ErrTaken.
func (b *Block) AssignAddr(addr netip.Addr, owner Attribute) (Holding, error) {
	o, err := b.Ordinal(addr)
	if err != nil {
		return Holding{}, err
	}
	i := slices.Index(b.Unallocated, o)
	if i < 0 {
		holder := b.Attributes[b.Allocations[o]]
		return Holding{}, fmt.Errorf("%w: %s of block %s %s", ErrTaken, addr, b.CIDR, holder.describe())
	}
	return take(b, i, o, addr, owner), nil
}

func take(b *Block, queued, ordinal int, addr netip.Addr, owner Attribute) Holding {
	b.Unallocated = slices.Delete(b.Unallocated, queued, queued+1)
	b.Attributes, b.Allocations[ordinal] = addAttribute(b.Attributes, owner)
	setSequence(b, ordinal)
	return Holding{Addr: addr, Sequence: b.Sequence}
}

func setSequence(b *Block, ordinal int) {
	if b.SequenceAt == nil {
		b.SequenceAt = map[int]int64{}
	}
	b.SequenceAt[ordinal] = b.Sequence
}

// Held returns the addresses of a handle, sorted.
func (b Block) Held(handle string) []Holding {
	return b.HeldBy(func(a Attribute) bool { return SameHandle(a.Handle, handle) })
}

// HeldBy returns the allocated addresses whose owners match, sorted.
func (b Block) HeldBy(match func(Attribute) bool) []Holding {
	var held []Holding
	for o, a := range b.Allocations {
		if a != Free && !b.Attributes[a].cooling() && match(b.Attributes[a]) {
			held = append(held, Holding{Addr: b.Addr(o), Sequence: b.SequenceAt[o]})
		}
	}
	return held
}

// Holder returns the attribute of an allocated or cooling address. It returns false for a free address and one
// outside of the block.
func (b Block) Holder(addr netip.Addr) (Attribute, bool) {
	o, err := b.Ordinal(addr)
	if err != nil || b.Allocations[o] == Free {
		return Attribute{}, false
	}
	return b.Attributes[b.Allocations[o]], true
}

// Release releases one address of a handle, at now. If the address is free, cooling, allocated to another handle, or
// allocated at another sequence number, the holding is stale: Release changes nothing and returns false. With a
// cooldown the address is cooling until Thaw frees it.
func (b *Block) Release(handle string, h Holding, now time.Time, cooldown time.Duration) bool {
	o, ok := b.find(handle, h)
	if !ok {
		return false
	}
	delete(b.SequenceAt, o)
	if cooldown > 0 {
		b.Attributes, b.Allocations[o] = addAttribute(b.Attributes, Attribute{ReleasedAt: now})
	} else {
		b.Allocations[o], b.Unallocated = Free, append(b.Unallocated, o)
	}
	compact(b)
	return true
}

// find returns the ordinal of a holding of a handle. It returns false if the holding is stale.
func (b Block) find(handle string, h Holding) (ordinal int, ok bool) {
	o, err := b.Ordinal(h.Addr)
	if err != nil || b.Allocations[o] == Free || b.SequenceAt[o] != h.Sequence {
		return 0, false
	}
	a := b.Attributes[b.Allocations[o]]
	return o, !a.cooling() && SameHandle(a.Handle, handle)
}

// Reassign gives an allocated address to another owner under the same handle, and returns the new holding. The old
// holding is stale afterwards. If it is stale already, as for Release, Reassign changes nothing and returns false.
func (b *Block) Reassign(h Holding, owner Attribute) (Holding, bool) {
	o, ok := b.find(owner.Handle, h)
	if !ok {
		return Holding{}, false
	}
	old := b.Attributes[b.Allocations[o]]
	owner.AlternateOwner, owner.Unknown = old.AlternateOwner, old.Unknown
	b.Attributes, b.Allocations[o] = addAttribute(b.Attributes, owner)
	setSequence(b, o)
	compact(b)
	return Holding{Addr: h.Addr, Sequence: b.Sequence}, true
}

// Thaw frees the addresses whose cooldown is over at now, in the order of their release, and returns their number.
func (b *Block) Thaw(now time.Time, cooldown time.Duration) int {
	var due []int
	for o, a := range b.Allocations {
		if a != Free && b.Attributes[a].cooled(now, cooldown) {
			due = append(due, o)
		}
	}
	released := func(o int) time.Time { return b.Attributes[b.Allocations[o]].ReleasedAt }
	slices.SortStableFunc(due, func(x, y int) int { return released(x).Compare(released(y)) })
	for _, o := range due {
		b.Allocations[o], b.Unallocated = Free, append(b.Unallocated, o)
	}
	if len(due) > 0 {
		compact(b)
	}
	return len(due)
}

// compact removes the attributes of a block that no ordinal points to, and renumbers the others in their order.
func compact(b *Block) {
	used := make([]bool, len(b.Attributes))
	for _, a := range b.Allocations {
		if a != Free {
			used[a] = true
		}
	}
	index, kept := make([]int, len(used)), b.Attributes[:0:0]
	for i, a := range b.Attributes {
		if used[i] {
			index[i] = len(kept)
			kept = append(kept, a)
		}
	}
	for o, a := range b.Allocations {
		if a != Free {
			b.Allocations[o] = index[a]
		}
	}
	b.Attributes = kept
}
