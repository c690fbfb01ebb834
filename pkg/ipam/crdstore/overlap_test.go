// SPDX-License-Identifier: Apache-2.0

package crdstore

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"calico-cni/pkg/apis/crd/v1/spec"
)

func TestNamesOfOverlappingBlocks(t *testing.T) {
	for cidr, want := range map[string]int{
		"10.0.0.64/26": 6 + 127, "10.0.0.0/20": 8191, "10.0.0.7/32": 13, "10.0.0.8/29": 9 + 15,
		"fd00::40/122": 6 + 127, "fd00::/116": 8191, "fd00::1/128": 13,
	} {
		p := prefix(cidr)
		all := allOverlapping(p)
		seen := map[netip.Prefix]bool{}
		for _, other := range all {
			if seen[other] || !other.Overlaps(p) || other != other.Masked() {
				t.Errorf("%s: %s (seen: %v)", cidr, other, seen[other])
			}
			seen[other] = true
		}
		if len(all) != want || countOverlapping(p) != want {
			t.Errorf("%s: %d names, %d counted, want %d", cidr, len(all), countOverlapping(p), want)
		}
	}
	if n := countOverlapping(prefix("fd00::/8")); n < 1<<29 {
		t.Errorf("%d names of a large pool", n)
	}
}

// TestNamesOfOverlappingBlocksMatchOverlaps draws two blocks of any sizes.
func TestNamesOfOverlappingBlocksMatchOverlaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) netip.Prefix {
			bits := rapid.IntRange(20, 32).Draw(t, label+" bits")
			low := rapid.Uint16Range(0, 1<<13-1).Draw(t, label)
			if rapid.Bool().Draw(t, "IPv6") {
				addr := netip.MustParseAddr("fd00::").As16()
				addr[14], addr[15] = byte(low>>8), byte(low)
				return netip.PrefixFrom(netip.AddrFrom16(addr), bits+96).Masked()
			}
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(low >> 8), byte(low)}), bits).Masked()
		}
		a, b := draw("a"), draw("b")
		named := false
		for _, other := range allOverlapping(a) {
			named = named || other == b
		}
		if named != a.Overlaps(b) {
			t.Fatalf("%s and %s: named %v", a, b, named)
		}
		if back, ok := cidrOf(spec.BlockName(a)); !ok || back != a {
			t.Fatalf("%s became %s", spec.BlockName(a), back)
		}
	})
}

func TestNamesOfOtherObjectsAreIgnored(t *testing.T) {
	for _, name := range []string{
		"", "a", "10-0-0-0", "10-0-0-1-26", "10-0-0-0-33", "10-0-0-256-32", "fd00--g-122", "fd00-0--122", "10-0-0-0-026",
	} {
		if cidr, ok := cidrOf(name); ok {
			t.Errorf("%q is %s", name, cidr)
		}
	}
}
