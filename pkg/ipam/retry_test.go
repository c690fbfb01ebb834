// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/memstore"
)

func TestBackoffGrowsToMaximumWithFullJitter(t *testing.T) {
	var longest []time.Duration
	var slept int
	wait := ipam.Backoff(
		func(_ context.Context, d time.Duration) error { slept++; return nil },
		func(n int64) int64 { longest = append(longest, time.Duration(n-1)); return n - 1 },
	)
	for retries := 1; retries <= 100; retries++ {
		if err := wait(t.Context(), retries); err != nil {
			t.Fatal(err)
		}
	}
	ms := time.Millisecond
	want := []time.Duration{10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, time.Second, time.Second}
	if diff := cmp.Diff(want, longest[:len(want)]); diff != "" || slept != 99 || longest[98] != time.Second {
		t.Errorf("%d waits (-want +got):\n%s", slept, diff)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := wait(ended, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("first retry after the context ended: %v", err)
	}
}

// TestRetriesWaitAndStopWithContext lets another writer write the block before each attempt of a release.
func TestRetriesWaitAndStopWithContext(t *testing.T) {
	for _, conflicts := range []int{0, 1, 4} {
		for _, ends := range []bool{false, true} {
			s := newStore()
			mustAssign(t, s, only4("a", "net.x"))
			left := conflicts
			c := &crashing{Store: s, left: 1 << 30}
			c.onCall = func(what string) {
				if what == "update block" && left > 0 {
					left--
					bump(t, s)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			var waits []int
			a := &ipam.Allocator{Store: c, Now: s.Now, Parallel: 1, Wait: func(ctx context.Context, retries int) error {
				if waits = append(waits, retries); ends {
					cancel()
				}
				return ctx.Err()
			}}
			h, err := a.Lookup(ctx, "net.x")
			if err == nil {
				_, err = a.Release(ctx, h, nil, 0)
			}
			cancel()
			want := []int{1, 2, 3, 4}[:conflicts]
			if ends && conflicts > 0 {
				if want = want[:1]; !errors.Is(err, context.Canceled) {
					t.Errorf("%d conflicts: %v, want that the context ended", conflicts, err)
				}
			} else if err != nil {
				t.Errorf("%d conflicts: %v", conflicts, err)
			}
			if diff := cmp.Diff(want, waits, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%d conflicts: waits (-want +got):\n%s", conflicts, diff)
			}
		}
	}
}

// bump writes each block like another writer.
func bump(t *testing.T, s *memstore.Store) {
	t.Helper()
	for cidr := range s.AllBlocks() {
		row, err := s.Blocks().Get(context.Background(), cidr)
		if err == nil {
			row.Value.Sequence++
			_, err = s.Blocks().Update(context.Background(), cidr, row)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
