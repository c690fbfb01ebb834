// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
)

// fillIPv6 allocates all free addresses of the IPv6 blocks, each under its own handle.
func fillIPv6(t *testing.T, s *memstore.Store) {
	t.Helper()
	ctx := context.Background()
	for cidr := range s.AllBlocks() {
		if !cidr.Addr().Is6() {
			continue
		}
		row, err := s.Blocks().Get(ctx, cidr)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; ; i++ {
			id := fmt.Sprintf("net.fill%d", i)
			if _, ok := row.Value.Assign(block.Attribute{Handle: id, Owner: map[string]string{"node": "a"}}, nil); !ok {
				break
			}
			if _, err := s.Handles().Create(ctx, id, ipam.Handle{ID: id, Counts: map[netip.Prefix]int{cidr: 1}}); err != nil {
				t.Fatal(err)
			}
		}
		row.Value.Sequence++
		if _, err := s.Blocks().Update(ctx, cidr, row); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMoveAfterDeleteFails runs the DEL of a dual-stack ADD after the ADD has written its IPv4 block and before it
// moves to another IPv6 block. The ADD must not succeed with an IPv4 address that the DEL has released.
func TestMoveAfterDeleteFails(t *testing.T) {
	s := newStore()
	s.IPPools = append(s.IPPools[:0:0], ofPool("v4", "10.0.0.0/29", 30), ofPool("v6", "fd00::/126", 127))
	blockWrites, handleWrites := 0, 0
	add := &crashing{Store: s, left: 1 << 30}
	add.onCall = func(what string) {
		switch {
		case what == "update block":
			// The IPv4 block is written first. Fill the IPv6 block before it is written.
			if blockWrites++; blockWrites == 2 {
				fillIPv6(t, s)
			}
		case what == "update handle" && blockWrites >= 2:
			// The second write of the handle moves its count.
			if handleWrites++; handleWrites == 2 {
				mustRelease(t, s, "net.x")
			}
		}
	}
	got, err := assignWith(&ipam.Allocator{Store: add, Now: s.Now, Parallel: 1}, dual("a", "net.x"))
	if handleWrites < 2 {
		t.Fatalf("the DEL did not run: %v, %v", got, err)
	}
	for _, g := range got {
		if owner, ok := s.AllBlocks()[g.Block].Holder(g.Addr); !ok || owner.Handle != "net.x" {
			t.Errorf("%s was assigned but is not allocated\n%s", g.Addr, s)
		}
	}
}
