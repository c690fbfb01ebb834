// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"net/netip"
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
)

// TestAffinityIsNotConfirmedAfterConcurrentBlockDeletion lets two processes release the same block. The first finds
// that the block was written and restores the affinity. The second marks the affinity again, which is no write,
// because the mark is already set, and deletes the block. The affinity must not be confirmed without a block.
func TestAffinityIsNotConfirmedAfterConcurrentBlockDeletion(t *testing.T) {
	for _, before := range []string{"update affinity", "update block", "get block"} {
		t.Run(before, func(t *testing.T) {
			ctx := t.Context()
			s := newStore()
			s.IPPools[0].CIDR = netip.MustParsePrefix("10.0.0.0/30")
			cidr := s.IPPools[0].CIDR
			mustAssign(t, s, only4("b", "net.x"))
			mustRelease(t, s, "net.x")
			written, acted := false, false
			first := &crashing{Store: s, left: 1 << 30}
			first.onCall = func(what string) {
				switch {
				case what == "delete block" && !written:
					// An ADD and a DEL that have read the affinity before it was marked.
					written = true
					row, err := s.Blocks().Get(ctx, cidr)
					if err != nil {
						t.Fatal(err)
					}
					row.Value.Sequence += 2
					if _, err := s.Blocks().Update(ctx, cidr, row); err != nil {
						t.Fatal(err)
					}
				case what == before && written && !acted:
					acted = true
					second := &crashing{Store: s, left: 5} // killed before it deletes the affinity
					_, err := (&ipam.Allocator{Store: second, Now: s.Now, Parallel: 1}).ReleaseIfEmpty(ctx, "b", cidr, 0)
					t.Logf("second: %v, %q", err, second.trace)
				}
			}
			gone, err := (&ipam.Allocator{Store: first, Now: s.Now, Parallel: 1}).ReleaseIfEmpty(ctx, "b", cidr, 0)
			t.Logf("first: %v, %v, %q", gone, err, first.trace)
			if err != nil || !acted {
				t.Errorf("%v, second process ran: %v", err, acted)
			}
			if bad := s.Check(); len(bad) > 0 {
				t.Errorf("%s\n%s", strings.Join(bad, "\n"), s)
			}
			mustAssign(t, s, only4("b", "net.y"))
			if bad := s.Check(); len(bad) > 0 {
				t.Errorf("%s\n%s", strings.Join(bad, "\n"), s)
			}
		})
	}
}
