// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
)

// Ranges is a set of addresses. A lookup takes logarithmic time in the number of prefixes. The zero value is empty.
type Ranges struct{ v4, v6 []span }

// span is the addresses from first to last.
type span struct{ first, last uint128 }

// NewRanges returns the addresses of prefixes of both IP families.
func NewRanges(prefixes []netip.Prefix) Ranges {
	var r Ranges
	for _, p := range prefixes {
		switch {
		case !p.IsValid():
		case p.Addr().Is4():
			r.v4 = append(r.v4, spanOf(p))
		default:
			r.v6 = append(r.v6, spanOf(p))
		}
	}
	r.v4, r.v6 = merge(r.v4), merge(r.v6)
	return r
}

// Contains reports whether an address is in the set.
func (r Ranges) Contains(addr netip.Addr) bool {
	spans, n := r.of(addr.Is4()), number(addr)
	i, found := slices.BinarySearchFunc(spans, n, func(s span, n uint128) int { return s.first.compare(n) })
	return found || i > 0 && spans[i-1].last.compare(n) >= 0
}

func (r Ranges) of(v4 bool) []span {
	if v4 {
		return r.v4
	}
	return r.v6
}

func spanOf(p netip.Prefix) span {
	first := number(p.Masked().Addr())
	host := p.Addr().BitLen() - p.Bits()
	if host == 128 {
		return span{first, uint128{^uint64(0), ^uint64(0)}}
	}
	return span{first, first.plus(uint128{0, 1}.shiftLeft(host)).minus(uint128{0, 1})}
}

// merge sorts spans and joins those that overlap or are adjacent.
func merge(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return a.first.compare(b.first) })
	var out []span
	for _, s := range spans {
		if n := len(out); n > 0 && (out[n-1].last.compare(s.first) >= 0 || out[n-1].last.plus(uint128{0, 1}) == s.first) {
			if out[n-1].last.compare(s.last) < 0 {
				out[n-1].last = s.last
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// uint128 is an address, or a number of addresses, as a number.
type uint128 struct{ high, low uint64 }

func number(a netip.Addr) uint128 {
	bytes := a.As16()
	return uint128{binary.BigEndian.Uint64(bytes[:8]), binary.BigEndian.Uint64(bytes[8:])}
}

// addr is the inverse of number.
func (u uint128) addr(v4 bool) netip.Addr {
	var bytes [16]byte
	binary.BigEndian.PutUint64(bytes[:8], u.high)
	binary.BigEndian.PutUint64(bytes[8:], u.low)
	if v4 {
		return netip.AddrFrom16(bytes).Unmap()
	}
	return netip.AddrFrom16(bytes)
}

func (u uint128) compare(v uint128) int {
	return cmp.Or(cmp.Compare(u.high, v.high), cmp.Compare(u.low, v.low))
}

func (u uint128) plus(v uint128) uint128 {
	low, carry := bits.Add64(u.low, v.low, 0)
	high, _ := bits.Add64(u.high, v.high, carry)
	return uint128{high, low}
}

func (u uint128) minus(v uint128) uint128 {
	low, borrow := bits.Sub64(u.low, v.low, 0)
	high, _ := bits.Sub64(u.high, v.high, borrow)
	return uint128{high, low}
}

// shiftLeft and shiftRight take n from 0 to 127.
func (u uint128) shiftLeft(n int) uint128 {
	if n >= 64 {
		return uint128{u.low << (n - 64), 0}
	}
	return uint128{u.high<<n | u.low>>(64-n), u.low << n}
}

func (u uint128) shiftRight(n int) uint128 {
	if n >= 64 {
		return uint128{0, u.high >> (n - 64)}
	}
	return uint128{u.high >> n, u.low>>n | u.high<<(64-n)}
}

// endsInOnes reports whether the lowest n bits, fewer than 64, are ones.
func (u uint128) endsInOnes(n int) bool { return bits.TrailingZeros64(^u.low) >= n }
