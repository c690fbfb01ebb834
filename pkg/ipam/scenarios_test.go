// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"fmt"
	"net/netip"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/selector"
)

// scenario is an operation that is interrupted at each of its calls to the store, on a store from prepare.
type scenario struct {
	prepare func(*testing.T, *memstore.Store)
	run     func(*ipam.Allocator) error
}

func scenarios() map[string]scenario {
	none := func(*testing.T, *memstore.Store) {}
	assign := func(r ipam.Request) func(*ipam.Allocator) error {
		return func(a *ipam.Allocator) error { _, err := assignWith(a, r); return err }
	}
	return map[string]scenario{
		"first assignment of a node": {none, assign(dual("a", "victim"))},
		"assignment from an existing block": {
			func(t *testing.T, s *memstore.Store) { mustAssign(t, s, dual("a", "other")) }, assign(dual("a", "victim")),
		},
		"assignment after a full block": {
			func(t *testing.T, s *memstore.Store) {
				for i := range 4 {
					mustAssign(t, s, only4("a", fmt.Sprint("other", i)))
				}
			}, assign(only4("a", "victim")),
		},
		"assignment that fails in one family": {
			func(_ *testing.T, s *memstore.Store) { s.IPPools = s.IPPools[:1] }, assign(dual("a", "victim")),
		},
		"assignment that takes over an idle block": {
			func(t *testing.T, s *memstore.Store) {
				fillOtherBlocks(t, s)
				mustRelease(t, s, "net.c-0")
			}, assign(only4("a", "victim")),
		},
		"assignment that borrows": {
			func(t *testing.T, s *memstore.Store) { fillOtherBlocks(t, s) }, assign(only4("a", "victim")),
		},
		"assignment that releases an unselected block": {
			func(t *testing.T, s *memstore.Store) {
				mustAssign(t, s, only4("a", "net.old"))
				mustRelease(t, s, "net.old")
				s.IPPools[0].Node = never(t)
				s.IPPools = append(s.IPPools, pool.Pool{Name: "new", CIDR: netip.MustParsePrefix("10.9.0.0/28"), BlockSize: 30})
			}, assign(only4("a", "victim")),
		},
		"second assignment for one handle": {
			func(t *testing.T, s *memstore.Store) { mustAssign(t, s, dual("a", "victim")) }, assign(dual("a", "victim")),
		},
		"release": {
			func(t *testing.T, s *memstore.Store) { mustAssign(t, s, dual("a", "victim")) },
			func(a *ipam.Allocator) error { return release(a, "victim") },
		},
		"release from a block without an owner": {
			func(t *testing.T, s *memstore.Store) {
				mustAssign(t, s, dual("a", "victim"))
				removeAffinities(t, s, "a")
			},
			func(a *ipam.Allocator) error { return release(a, "victim") },
		},
	}
}

// fillOtherBlocks gives node a one full block, and the other blocks of the pool to b, c and d, with one pod each.
func fillOtherBlocks(t *testing.T, s *memstore.Store) {
	t.Helper()
	for _, node := range []string{"b", "c", "d"} {
		fill(t, s, node, 1)
	}
	fill(t, s, "a", 4)
}

// never selects no node.
func never(t testing.TB) *selector.Selector {
	t.Helper()
	s, err := selector.Parse("has(never)")
	if err != nil {
		t.Fatal(err)
	}
	return s
}
