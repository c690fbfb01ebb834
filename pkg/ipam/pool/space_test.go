// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawPrefix draws a prefix of an address in the pool, from the whole pool to a single address.
func drawPrefix(t *rapid.T, label string, pool netip.Prefix) netip.Prefix {
	addr := number(pool.Addr()).plus(uint128{0, rapid.Uint64Range(0, 1<<14).Draw(t, label)}).addr(pool.Addr().Is4())
	bits := rapid.IntRange(max(0, pool.Bits()-1), addr.BitLen()).Draw(t, label+" bits")
	return netip.PrefixFrom(addr, bits).Masked()
}

func drawPool(t *rapid.T) Pool {
	bits, v6 := rapid.IntRange(0, 8).Draw(t, "bits"), rapid.Bool().Draw(t, "v6")
	size, base := rapid.IntRange(26, 32).Draw(t, "size"), netip.MustParseAddr("10.255.255.255")
	if v6 {
		size, base = size+96, netip.MustParseAddr("fd00:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
	}
	return Pool{CIDR: netip.PrefixFrom(base, size-bits).Masked(), BlockSize: size}
}

// TestSpaceHasEachFreeBlockOnce compares a walk with a check of each address of each block.
func TestSpaceHasEachFreeBlockOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPool(t)
		var reserved, others []netip.Prefix
		for i := range rapid.IntRange(0, 6).Draw(t, "reservations") {
			reserved = append(reserved, drawPrefix(t, fmt.Sprint("reserved ", i), p.CIDR))
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "others") {
			if other := drawPrefix(t, fmt.Sprint("other ", i), p.CIDR); other.Bits() > p.CIDR.Bits() {
				others = append(others, other)
			}
		}
		want := map[netip.Prefix]bool{}
		for b := range (Pool{CIDR: p.CIDR, BlockSize: p.BlockSize}).Space(Ranges{}, nil).Walk("") {
			taken := slices.ContainsFunc(others, b.Overlaps)
			for a, free := b.Addr(), false; !taken && !free && b.Contains(a); a = a.Next() {
				free = !slices.ContainsFunc(reserved, func(r netip.Prefix) bool { return r.Contains(a) })
				want[b] = want[b] || free
			}
		}
		s, seen := p.Space(NewRanges(reserved), others), map[netip.Prefix]bool{}
		for b := range s.Walk(rapid.StringN(0, 5, -1).Draw(t, "node")) {
			if seen[b] || !want[b] {
				t.Fatalf("%s of %s without %v and %v: visited before %v, free %v", b, p.CIDR, reserved, others, seen[b], want[b])
			}
			seen[b] = true
		}
		free := 0
		for b, isFree := range want {
			if isFree {
				free++
			}
			if isFree && !seen[b] {
				t.Fatalf("%s of %s without %v and %v was not visited", b, p.CIDR, reserved, others)
			}
		}
		if s.Len() != uint64(free) {
			t.Fatalf("%d blocks, want %d", s.Len(), free)
		}
	})
}

func TestRangesContainAddressesOfPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPool(t)
		var prefixes []netip.Prefix
		for i := range rapid.IntRange(0, 8).Draw(t, "n") {
			prefixes = append(prefixes, drawPrefix(t, fmt.Sprint(i), p.CIDR))
		}
		r := NewRanges(prefixes)
		for range 20 {
			a := drawPrefix(t, "addr", p.CIDR).Addr()
			if want := slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) }); r.Contains(a) != want {
				t.Fatalf("%v: %s: got %v", prefixes, a, !want)
			}
		}
	})
}

// TestRangesSeparateFamilies checks that IPv6 prefixes with IPv4-mapped addresses contain no IPv4 address.
func TestRangesSeparateFamilies(t *testing.T) {
	r := NewRanges([]netip.Prefix{netip.MustParsePrefix("::/0"), netip.MustParsePrefix("10.0.0.0/8")})
	for addr, want := range map[string]bool{
		"10.255.255.255": true, "11.0.0.0": false, "::": true, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": true,
	} {
		if got := r.Contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %v", addr, got)
		}
	}
}

// TestWalkOfHugePoolSpreadsOverFreeBlocks excludes half of a huge pool, and small ranges of it. Nodes start at
// different blocks of the rest, and a space has no more runs than excluded ranges.
func TestWalkOfHugePoolSpreadsOverFreeBlocks(t *testing.T) {
	for _, c := range []struct {
		cidr, reserved string
		size           int
	}{
		{"fd00:99::/64", "fd00:99::/65", 122},
		{"fd00:99::/64", "fd00:99:0:0:8000::/65", 122},
		{"fd00::/8", "fd00::/9", 128},
		{"fd00::/8", "fc00::/7", 128},
		{"10.0.0.0/8", "10.0.0.0/9", 32},
	} {
		p := Pool{CIDR: netip.MustParsePrefix(c.cidr), BlockSize: c.size}
		reserved := []netip.Prefix{netip.MustParsePrefix(c.reserved)}
		for i := range 100 {
			addr := number(p.CIDR.Addr()).plus(uint128{0, uint64(i) << 20}).addr(p.CIDR.Addr().Is4())
			reserved = append(reserved, netip.PrefixFrom(addr, p.BlockSize))
		}
		s := p.Space(NewRanges(reserved), nil)
		if len(s.runs) > len(reserved)+1 {
			t.Errorf("%s: %d runs for %d ranges", c.cidr, len(s.runs), len(reserved))
		}
		if reserved[0].Bits() <= p.CIDR.Bits() {
			if s.Len() != 0 {
				t.Errorf("%s: %d blocks are free of a pool that is reserved", c.cidr, s.Len())
			}
			continue
		}
		starts := map[netip.Prefix]bool{}
		for i := range 100 {
			n := 0
			for b := range s.Walk(fmt.Sprint("node-", i)) {
				if reserved[0].Overlaps(b) || !p.CIDR.Contains(b.Addr()) {
					t.Fatalf("%s: %s is reserved", c.cidr, b)
				}
				if n == 0 {
					starts[b] = true
				}
				if n++; n == 10 {
					break
				}
			}
		}
		if len(starts) < 98 {
			t.Errorf("%s: 100 nodes start at %d blocks", c.cidr, len(starts))
		}
	}
}

func TestContainingReturnsMostSpecificUsablePool(t *testing.T) {
	innermost := with(v4("innermost", "10.1.1.0/24"), func(p *Pool) { p.Disabled = true })
	pools := []Pool{v4("outer", "10.0.0.0/8"), v4("inner", "10.1.0.0/16"), innermost}
	for addr, want := range map[string]string{"10.2.0.0": "outer", "10.1.0.0": "inner", "10.1.1.1": "inner"} {
		for range 2 {
			if p, ok := Containing(pools, netip.MustParseAddr(addr)); !ok || p.Name != want {
				t.Errorf("%s: got %q, want %q", addr, p.Name, want)
			}
			slices.Reverse(pools)
		}
	}
	if p, ok := Containing(pools[2:], netip.MustParseAddr("10.1.1.1")); !ok || p.Name != "innermost" {
		t.Errorf("got %q, want the most specific pool, although it is disabled", p.Name)
	}
	if got := fmt.Sprint(pools[0].Inner(pools), pools[1].Inner(pools)); got != "[10.1.0.0/16] []" {
		t.Errorf("inner pools %s", got)
	}
}
