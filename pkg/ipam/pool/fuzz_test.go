// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"errors"
	"net/netip"
	"testing"
)

// FuzzChoose requests pools by arbitrary names. Each chosen pool may serve the request and is chosen once; each error
// is one of the package.
func FuzzChoose(f *testing.F) {
	f.Add("alpha", "10.8.0.0/16", false, "1")
	f.Add("six", "fd00::/48", true, "")
	f.Add("", "disabled", false, "x")
	f.Fuzz(func(t *testing.T, first, second string, ipv6 bool, rack string) {
		q := Query{Use: Workload, IPv6: ipv6, NodeLabels: map[string]string{"rack": rack}}
		for _, want := range []string{first, second} {
			if want != "" {
				q.Requested = append(q.Requested, want)
			}
		}
		chosen, _, err := Choose(samplePools(t), q)
		if err != nil {
			if !errors.Is(err, ErrUnknownPool) || len(chosen) > 0 {
				t.Fatalf("%v, with %v", err, chosen)
			}
			return
		}
		seen := map[string]bool{}
		for _, p := range chosen {
			if p.unusable() != "" || !p.serves(Workload) || p.CIDR.Addr().Is6() != ipv6 || seen[p.Name] {
				t.Fatalf("chose %+v for %+v", p, q)
			}
			seen[p.Name] = true
		}
	})
}

// FuzzWalk walks valid pools: the blocks lie in the pool, and the first thousand are distinct.
func FuzzWalk(f *testing.F) {
	f.Add("10.0.0.0/8", 26, "node-1")
	f.Add("fd00::/16", 128, "")
	f.Fuzz(func(t *testing.T, cidr string, size int, node string) {
		prefix, err := netip.ParsePrefix(cidr)
		p := Pool{CIDR: prefix, BlockSize: size}
		if err != nil || p.Validate() != nil {
			return
		}
		seen := map[netip.Prefix]bool{}
		for b := range p.Space(Ranges{}, nil).Walk(node) {
			if seen[b] || !p.CIDR.Contains(b.Addr()) || b.Bits() != size {
				t.Fatalf("block %s of %s", b, p.CIDR)
			}
			if seen[b] = true; len(seen) == 1000 {
				return
			}
		}
		if uint64(len(seen)) != p.Blocks() {
			t.Fatalf("%d blocks of %d", len(seen), p.Blocks())
		}
	})
}
