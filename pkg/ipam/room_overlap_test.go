// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/pool"
)

// TestRoomPredictsAssignAfterBlockSizeChange fills a pool after its blockSize changed. The old blocks are on this
// node or another, and smaller or larger than the new ones.
func TestRoomPredictsAssignAfterBlockSizeChange(t *testing.T) {
	answers := map[bool]int{}
	for _, c := range []struct{ old, size int }{{30, 31}, {30, 29}, {31, 30}, {32, 29}, {29, 32}, {28, 30}, {30, 28}} {
		for _, node := range []string{"a", "b"} {
			for _, strict := range []bool{false, true} {
				name := fmt.Sprintf("%d to %d, old blocks of %s, strict %v", c.old, c.size, node, strict)
				s := newStore()
				s.Settings.StrictAffinity = strict
				put(t, s, node, fmt.Sprintf("10.0.0.0/%d", c.old), 1)
				s.IPPools[0].BlockSize = c.size
				for i := range 20 {
					r := only4("a", fmt.Sprint("net.a", i))
					before := s.String()
					a := &ipam.Allocator{Store: s, Now: s.Now}
					view, err := a.Gather(t.Context(), s, r.Node, nil, false)
					if err != nil {
						t.Fatal(err)
					}
					room := a.Room(t.Context(), view, r)
					if diff := cmp.Diff(before, s.String()); diff != "" {
						t.Fatalf("%s: Room wrote to the store (-before +after):\n%s", name, diff)
					}
					_, err = assign(s, r)
					if (room == nil) != (err == nil) || room != nil && !errors.Is(room, ipam.ErrNoAddress) {
						t.Fatalf("%s: assignment %d: Room says %v, Assign %v\n%s", name, i, room, err, before)
					}
					answers[room == nil]++
				}
			}
		}
	}
	if answers[true] < 100 || answers[false] < 100 {
		t.Errorf("answers %v: want many of both kinds", answers)
	}
}

// TestRoomChecksOwnBlockForOverlap gives the node a block with free addresses that overlaps a block of another node. No
// address may be allocated from it.
func TestRoomChecksOwnBlockForOverlap(t *testing.T) {
	s := newStore()
	s.Settings.StrictAffinity = true
	s.IPPools = []pool.Pool{ofPool("v4", "10.0.0.0/30", 30)}
	put(t, s, "a", "10.0.0.0/30", 1)
	put(t, s, "b", "10.0.0.2/31", 1)
	a := &ipam.Allocator{Store: s, Now: s.Now}
	view, err := a.Gather(t.Context(), s, "a", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Room(t.Context(), view, only4("a", "net.x")); !errors.Is(err, ipam.ErrNoAddress) {
		t.Errorf("Room: %v, want ErrNoAddress", err)
	}
	if got, err := assign(s, only4("a", "net.x")); !errors.Is(err, ipam.ErrNoAddress) {
		t.Errorf("Assign: %s, %v, want ErrNoAddress", got, err)
	}
}
