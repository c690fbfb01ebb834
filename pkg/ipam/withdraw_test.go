// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"errors"
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/memstore"
)

// failing returns a store whose first call of a name fails, before or after it takes effect.
func failing(s *memstore.Store, name string, after bool) *crashing {
	c := &crashing{Store: s, left: 1 << 30, after: after, survives: true}
	c.onCall = func(what string) {
		if what == name {
			c.left, c.onCall = 1, nil
		}
	}
	return c
}

// used counts the blocks of an IP family that have one allocated address, that of the assignment that is kept.
func used(s *memstore.Store, family string) int {
	count := 0
	for line := range strings.Lines(s.String()) {
		if strings.HasPrefix(line, "block "+family) && strings.Contains(line, " 1 used") {
			count++
		}
	}
	return count
}

// TestFailedWithdrawContinuesAndCanBeRepeated withdraws one of two assignments to the same handle, from the same
// blocks. A count that is too low would hide the other address.
func TestFailedWithdrawContinuesAndCanBeRepeated(t *testing.T) {
	for _, call := range []string{"get handle", "get block", "update block", "update handle"} {
		for when, after := range map[string]bool{"before": false, "after": true} {
			t.Run(call+" fails "+when+" it took effect", func(t *testing.T) {
				s := newStore()
				mustAssign(t, s, dual("node", "h"))
				r := dual("node", "h")
				got, err := assignWith(&ipam.Allocator{Store: s, Now: s.Now}, r)
				if err != nil {
					t.Fatal(err)
				}
				a := &ipam.Allocator{Store: failing(s, call, after), Now: s.Now}
				if err := a.Withdraw(t.Context(), r, got, 0); !errors.Is(err, errCrashed) {
					t.Errorf("error is %v", err)
				}
				if strings.HasSuffix(call, "block") && used(s, "fd00::") != 1 {
					t.Errorf("the other block was not written:\n%s", s)
				}
				if err := a.Withdraw(t.Context(), r, got, 0); err != nil {
					t.Errorf("again: %v", err)
				}
				if bad := s.Check(); len(bad) > 0 || used(s, "10.0.0.") != 1 || used(s, "fd00::") != 1 {
					t.Errorf("broken: %v\n%s", bad, s)
				}
				mustRelease(t, s, "h")
				if strings.Contains(s.String(), "handle") || used(s, "") > 0 {
					t.Errorf("after the release:\n%s", s)
				}
			})
		}
	}
}
