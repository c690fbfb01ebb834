// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"testing"

	"calico-cni/pkg/ipam"
)

// TestAssignFailsAfterDeleteDuringLockWait lets an ADD count its handle and wait for the node's lock. Meanwhile its DEL
// writes the block, which updates the cache, and deletes the handle. The ADD must not allocate an address, because no
// handle would lead to it.
func TestAssignFailsAfterDeleteDuringLockWait(t *testing.T) {
	for _, others := range []bool{false, true} {
		s := newStore()
		mustAssign(t, s, only4("a", "net.first"))
		n := cacheOf(t, s)
		view, err := (&ipam.Allocator{Store: s, Now: s.Now, Cache: n}).Gather(context.Background(), s, "a", n.withRoom, false)
		if err != nil {
			t.Fatal(err)
		}
		a := &ipam.Allocator{Store: s, Now: s.Now, Parallel: 1, Cache: n}
		duringWait := func() {
			if err := release(&ipam.Allocator{Store: s, Now: s.Now, Parallel: 1, Cache: n}, "net.x"); err != nil {
				t.Error(err)
			}
			if others {
				mustAssign(t, s, only4("a", "net.y"))
				a.Cache = cacheOf(t, s)
			}
		}
		a.LockNode = func(context.Context) bool { duringWait(); return true }
		got, err := a.Assign(context.Background(), view, only4("a", "net.x"))
		if !errors.Is(err, ipam.ErrReleased) {
			t.Errorf("assigned %v, %v, want ErrReleased", got, err)
		}
		for _, breach := range s.Check() {
			t.Error(breach)
		}
		for cidr, b := range s.AllBlocks() {
			if held := b.Held("net.x"); len(held) > 0 {
				t.Errorf("%v of %s is allocated, but no handle leads to it\n%s", held, cidr, s)
			}
		}
	}
}
