// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"errors"
	"fmt"
	"iter"
	"math"
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

// step is the work that a candidate needs before an address of it is allocated.
type step int

const (
	// allocateNow: nothing. The node cached the block after it last allocated from it.
	allocateNow step = iota
	// checkOverlap: check for overlapping blocks.
	checkOverlap
	// repairClaim: complete the affinity of the node.
	repairClaim
	// claimFree: claim a block that does not exist, or complete the claim of one that has no affinity.
	claimFree
	// takeOver: claim an empty block of another node.
	takeOver
	// replaceOthers: release the empty blocks of other nodes that overlap the block, and claim it.
	replaceOthers
	// lookFurther: the candidate is no block. It says that the search reached its bound before the end of the pool.
	lookFurther
)

// candidate is a block that may serve a want, with the step that it needs first.
type candidate struct {
	place
	step step
	// affinity is the node's affinity for the block, for repairClaim.
	affinity AffinityRow
}

// candidates yields candidates, best first. It reads lazily: it makes the reads for a candidate only when the caller
// asks for it, after it has rejected the ones before. After an error it ends.
type candidates = iter.Seq2[candidate, error]

// inTurn yields the candidates of each source, one source after the other. It ends with the first error.
func inTurn(sources ...candidates) candidates {
	return func(yield func(candidate, error) bool) {
		for _, source := range sources {
			for c, err := range source {
				if !yield(c, err) || err != nil {
					return
				}
			}
		}
	}
}

// picker allocates addresses in the value of a block, according to a request.
type picker struct {
	request  Request
	reserved pool.Ranges
	now      func() time.Time
	cooldown time.Duration
}

// pick allocates an address in the value of a block.
func (p picker) pick(b *block.Block, w Want) (block.Holding, error) {
	b.Thaw(p.now(), p.cooldown)
	owner := block.Attribute{Handle: p.request.Handle, Owner: p.request.Owner}
	if w.Addr.IsValid() {
		h, err := b.AssignAddr(w.Addr, owner)
		if errors.Is(err, block.ErrTaken) {
			err = p.taken(b, w.Addr, err)
		}
		return h, err
	}
	h, ok := b.Assign(owner, func(addr netip.Addr) bool {
		return p.reserved.Contains(addr) || p.notForHosts(b.CIDR, addr)
	})
	if !ok {
		return h, errFull
	}
	return h, nil
}

// taken explains why a requested address of a block is not free. err is the error of the block.
func (p picker) taken(b *block.Block, addr netip.Addr, err error) error {
	holder, _ := b.Holder(addr)
	if rest := holder.CooldownLeft(p.now(), p.cooldown); rest > 0 {
		return fmt.Errorf("%w: %s was released at %s; wait %d seconds, or choose another address", ErrAddrCooling, addr,
			holder.ReleasedAt.UTC().Format(time.RFC3339), int(math.Ceil(rest.Seconds())))
	}
	return fmt.Errorf("%w: %w; choose another address, or release it", ErrAddrTaken, err)
}

// notForHosts reports whether a container cannot use an address, because the request uses it in the subnet of its
// block. Subnets of two addresses have no such addresses (RFC 3021, RFC 6164).
func (p picker) notForHosts(subnet netip.Prefix, addr netip.Addr) bool {
	if !p.request.Subnet || addr.BitLen()-subnet.Bits() < 2 {
		return false
	}
	return addr == subnet.Addr() || addr.Is4() && !subnet.Contains(addr.Next())
}

// thawed returns a block as it is after the cooldowns that are over.
func (p picker) thawed(b block.Block) block.Block {
	b = b.Clone()
	b.Thaw(p.now(), p.cooldown)
	return b
}

// room returns nil if an address for the want can be allocated in the place. It tries the allocation on a copy.
func (p picker) room(at place) error {
	b := at.row.Value.Clone()
	_, err := p.pick(&b, at.want)
	return err
}
