// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"time"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// errFull: a block, or everything that was searched, has no address for the want.
var errFull = errors.New("block is full")

// place is a block in which a want can be allocated, as it was read.
type place struct {
	want Want
	cidr netip.Prefix
	row  Row[block.Block]
	// checked says that the block has passed the check for overlapping blocks.
	checked bool
}

// step is what has to happen before an address of a candidate is allocated.
type step int

const (
	// allocateNow: nothing. The node cached the block after it last allocated from it.
	allocateNow step = iota
	// checkOverlap: check for overlapping blocks.
	checkOverlap
	// repairClaim: complete the affinity of the node.
	repairClaim
	// claimFree: claim a block that does not exist.
	claimFree
	// takeOver: claim an empty block of another node.
	takeOver
	// replaceOthers: release the empty blocks of other nodes that overlap the block, and claim it.
	replaceOthers
	// lookFurther: nothing can be done. The pool has blocks that were not read, because the search has reached its
	// bound.
	lookFurther
)

// candidate is a block that may serve a want, and the next step towards that.
type candidate struct {
	place
	step step
	// affinity is the node's affinity for the block, for repairClaim.
	affinity AffinityRow
}

// candidates yields candidates, best first. It reads lazily: the reads for a candidate are made when the caller has
// no use for the ones before it. After an error it ends.
type candidates = iter.Seq2[candidate, error]

// picker allocates addresses in the value of a block, according to a request.
type picker struct {
	request  Request
	reserved pool.Ranges
	now      func() time.Time
	cooldown time.Duration
}

// pick allocates in the value of a block.
func (p picker) pick(b *block.Block, w Want) (block.Holding, error) {
	b.Thaw(p.now(), p.cooldown)
	owner := block.Attribute{Handle: p.request.Handle, Owner: p.request.Owner}
	if w.Addr.IsValid() {
		h, err := b.AssignAddr(w.Addr, owner)
		if errors.Is(err, block.ErrTaken) {
			return h, fmt.Errorf("%w: %w; choose another address, or release it", ErrAddrTaken, err)
		}
		return h, err
	}
	h, ok := b.Assign(owner, p.reserved.Contains)
	if !ok {
		return h, errFull
	}
	return h, nil
}

// thawed returns a block as it is after the cooldowns that are over.
func (p picker) thawed(b block.Block) block.Block {
	b = b.Clone()
	b.Thaw(p.now(), p.cooldown)
	return b
}

// room returns nil if the want can be allocated in the place. It tries that on a copy.
func (p picker) room(at place) error {
	b := at.row.Value.Clone()
	_, err := p.pick(&b, at.want)
	return err
}
