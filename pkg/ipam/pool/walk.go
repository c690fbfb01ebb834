// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"hash/fnv"
	"iter"
	"math/bits"
	"net/netip"
	"slices"
)

// maxWalkBits bounds the number of blocks of a huge pool that a walk covers: 2^62.
const maxWalkBits = 62

// Blocks returns the number of blocks of the pool, at most 2^62.
func (p Pool) Blocks() uint64 { return 1 << min(p.BlockSize-p.CIDR.Bits(), maxWalkBits) }

// Space is the blocks of a pool that a node may claim. Its size in memory is linear in the number of excluded ranges,
// and does not depend on the size of the pool.
type Space struct {
	pool Pool
	runs []run
	n    uint64
}

// run is n consecutive blocks. first is the index of the first block in the pool, start its index in the space.
type run struct {
	first    uint128
	start, n uint64
}

// Space returns the blocks of the pool, except those that are reserved completely and those that overlap others.
func (p Pool) Space(reserved Ranges, others []netip.Prefix) Space {
	s := Space{pool: p}
	out := p.indexes(reserved.of(p.CIDR.Addr().Is4()), false)
	out = append(out, p.indexes(NewRanges(others).of(p.CIDR.Addr().Is4()), true)...)
	// The runs of a huge pool are truncated, so that the number of blocks fits into a uint64.
	most := uint128{0, 1 << (maxWalkBits - bits.Len(uint(len(out))))}
	next, one := uint128{}, uint128{0, 1}
	add := func(end uint128) {
		if n := end.minus(next); next.compare(end) < 0 {
			if n.compare(most) > 0 {
				n = most
			}
			s.runs = append(s.runs, run{next, s.n, n.low})
			s.n += n.low
		}
	}
	for _, left := range merge(out) {
		add(left.first)
		next = left.last.plus(one)
	}
	add(one.shiftLeft(p.BlockSize - p.CIDR.Bits()))
	return s
}

// indexes converts spans of addresses to spans of block indexes. With partly, it includes the blocks that are covered
// in part.
func (p Pool) indexes(spans []span, partly bool) (out []span) {
	all := spanOf(p.CIDR)
	shift := p.CIDR.Addr().BitLen() - p.BlockSize
	one := uint128{0, 1}
	for _, s := range spans {
		if s.last.compare(all.first) < 0 || s.first.compare(all.last) > 0 {
			continue
		}
		first, last := uint128{}, all.last.minus(all.first)
		if s.first.compare(all.first) > 0 {
			first = s.first.minus(all.first)
		}
		if s.last.compare(all.last) < 0 {
			last = s.last.minus(all.first)
		}
		from, to := first.shiftRight(shift), last.shiftRight(shift)
		if !partly {
			if from.shiftLeft(shift) != first {
				from = from.plus(one)
			}
			if !last.endsInOnes(shift) {
				if to == (uint128{}) {
					continue
				}
				to = to.minus(one)
			}
		}
		if from.compare(to) <= 0 {
			out = append(out, span{from, to})
		}
	}
	return out
}

// Len returns the number of blocks that a walk visits.
func (s Space) Len() uint64 { return s.n }

// Walk returns every block of the space once. The order depends on the node: nodes that claim blocks at the same time
// rarely choose the same one.
func (s Space) Walk(node string) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		if s.n == 0 {
			return
		}
		h := fnv.New64a()
		_, _ = h.Write([]byte(node))
		seed := h.Sum64()
		at, stride := seed%s.n, coprime(((seed>>32)|1)%s.n, s.n)
		for range s.n {
			if !yield(s.block(at)) {
				return
			}
			at = (at + stride) % s.n
		}
	}
}

// coprime returns the first number from k on that has no common divisor with n: steps of that length visit every index.
func coprime(k, n uint64) uint64 {
	for k = max(k, 1); gcd(k, n) != 1; k++ {
	}
	return k
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// block returns the block of an index in the space.
func (s Space) block(index uint64) netip.Prefix {
	i, found := slices.BinarySearchFunc(s.runs, index, func(r run, index uint64) int {
		switch {
		case r.start < index:
			return -1
		case r.start > index:
			return 1
		}
		return 0
	})
	if !found {
		i--
	}
	r, v4 := s.runs[i], s.pool.CIDR.Addr().Is4()
	shift := s.pool.CIDR.Addr().BitLen() - s.pool.BlockSize
	offset := r.first.plus(uint128{0, index - r.start}).shiftLeft(shift)
	return netip.PrefixFrom(number(s.pool.CIDR.Addr()).plus(offset).addr(v4), s.pool.BlockSize)
}

// Block returns the block of the pool for one of its addresses.
func (p Pool) Block(addr netip.Addr) netip.Prefix {
	return netip.PrefixFrom(addr, p.BlockSize).Masked()
}

// Inner returns the usable pools inside of this one. Their addresses do not belong to this pool.
func (p Pool) Inner(pools []Pool) (inner []netip.Prefix) {
	for _, q := range pools {
		if q.unusable() == "" && q.CIDR.Bits() > p.CIDR.Bits() && p.CIDR.Contains(q.CIDR.Addr()) {
			inner = append(inner, q.CIDR)
		}
	}
	return inner
}
