// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/pool"
)

// TestHalfReservedHugePoolServesEveryNode bounds the number of calls to the store of the first ADD of a node.
func TestHalfReservedHugePoolServesEveryNode(t *testing.T) {
	for _, reserved := range []string{"fd00:99::/65", "fd00:99:0:0:8000::/65"} {
		s := newStore()
		s.IPPools = []pool.Pool{{Name: "v6", CIDR: netip.MustParsePrefix("fd00:99::/64"), BlockSize: 122}}
		s.Reserved = []netip.Prefix{netip.MustParsePrefix(reserved)}
		for i := range 8 {
			r := only4(fmt.Sprint("node-", i), fmt.Sprint("net.", i))
			r.Wants[0].IPv6 = true
			c := &crashing{Store: s, left: 1 << 30}
			got, err := assignWith(&ipam.Allocator{Store: c, Now: s.Now, Parallel: 1}, r)
			if err != nil {
				t.Fatal(err)
			}
			if s.Reserved[0].Contains(got[0].Addr) {
				t.Errorf("%s is reserved", got[0].Addr)
			}
			if len(c.trace) > 12 {
				t.Errorf("%d calls: %q", len(c.trace), c.trace)
			}
		}
		view, err := (&ipam.Allocator{Store: s}).Gather(t.Context(), s, "late", nil, false)
		if err != nil {
			t.Fatal(err)
		}
		r := only4("late", "net.late")
		r.Wants[0].IPv6 = true
		if err := (&ipam.Allocator{Store: s, Now: s.Now}).Room(t.Context(), view, r); err != nil {
			t.Errorf("Room: %v", err)
		}
	}
}

func TestFullyReservedPoolIsReported(t *testing.T) {
	s := newStore()
	s.Reserved = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/29"), netip.MustParsePrefix("10.0.0.8/29")}
	_, err := assign(s, only4("a", "net.x"))
	if !errors.Is(err, ipam.ErrNoAddress) || !strings.Contains(err.Error(), "4 reserved") {
		t.Errorf("got %v", err)
	}
}
