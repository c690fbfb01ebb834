// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
)

// TestRequestedAddressIsFoundInBlocksOfAnySize requests an address that is allocated in a block whose size is not the
// pool's.
func TestRequestedAddressIsFoundInBlocksOfAnySize(t *testing.T) {
	for _, size := range []int{28, 29, 30, 31, 32} {
		for _, node := range []string{"a", "b"} {
			s := newStore()
			put(t, s, "a", "10.0.0.4/31", 1)
			s.IPPools[0].BlockSize = size
			for addr, free := range map[string]bool{"10.0.0.4": false, "10.0.0.5": true} {
				r := only4(node, "net."+addr)
				r.Wants[0].Addr = netip.MustParseAddr(addr)
				got, err := assign(s, r)
				if free && (err != nil || got != addr) || !free && !errors.Is(err, ipam.ErrAddrTaken) {
					t.Errorf("size %d, node %s, %s: %s, %v\n%s", size, node, addr, got, err, s)
				}
			}
			unique(t, s)
		}
	}
}

func TestRequestedAddressInTwoBlocksIsRefused(t *testing.T) {
	for _, node := range []string{"a", "b", "c"} {
		s := newStore()
		put(t, s, "a", "10.0.0.0/30", 1)
		put(t, s, "b", "10.0.0.0/29", 0)
		r := only4(node, "net.x")
		r.Wants[0].Addr = netip.MustParseAddr("10.0.0.2")
		before := s.String()
		_, err := assign(s, r)
		if !errors.Is(err, ipam.ErrAddrTaken) ||
			!strings.Contains(err.Error(), "10.0.0.0/30") || !strings.Contains(err.Error(), "10.0.0.0/29") {
			t.Errorf("node %s: %v", node, err)
		}
		if s.String() != before {
			t.Errorf("node %s: the store changed:\n%s", node, s)
		}
	}
}

// TestRequestedAddressIsRefusedIfItsBlockWouldOverlap requests an address that no block has. The pool's block for it
// would overlap another block.
func TestRequestedAddressIsRefusedIfItsBlockWouldOverlap(t *testing.T) {
	s := newStore()
	put(t, s, "a", "10.0.0.0/32", 1)
	r := only4("b", "net.x")
	r.Wants[0].Addr = netip.MustParseAddr("10.0.0.2")
	before := s.String()
	_, err := assign(s, r)
	if !errors.Is(err, ipam.ErrAddrTaken) || !strings.Contains(err.Error(), "10.0.0.0/32") {
		t.Errorf("got %v", err)
	}
	if s.String() != before {
		t.Errorf("the store changed:\n%s", s)
	}
}
