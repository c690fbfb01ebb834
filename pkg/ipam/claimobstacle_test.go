// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"errors"
	"net/netip"
	"testing"

	"calico-cni/pkg/ipam"
)

// TestClaimReportsObstacle also covers a claim that another process wins between the read and the write.
func TestClaimReportsObstacle(t *testing.T) {
	mine, wider := netip.MustParsePrefix("10.0.0.0/30"), netip.MustParsePrefix("10.0.0.0/29")
	s := newStore()
	claim := func(node string, cidr netip.Prefix) (obstacle, err error) {
		return (&ipam.Allocator{Store: s, Now: s.Now, Parallel: 1}).Claim(t.Context(), node, cidr, 0)
	}
	for range 2 {
		if obstacle, err := claim("a", mine); obstacle != nil || err != nil {
			t.Fatalf("the node's own block: %v, %v", obstacle, err)
		}
	}
	var taken *ipam.TakenError
	if obstacle, err := claim("b", mine); !errors.As(obstacle, &taken) || taken.Owner != "host:a" || err != nil {
		t.Errorf("a block of another node: %v, %v", obstacle, err)
	}
	var overlap *ipam.OverlapError
	if obstacle, err := claim("b", wider); !errors.As(obstacle, &overlap) || overlap.Owner != "host:a" || err != nil {
		t.Errorf("a block that overlaps another: %v, %v", obstacle, err)
	}

	s = newStore()
	racing := actBetween(s, "get block", "create block", func() {
		if obstacle, err := claim("a", mine); obstacle != nil || err != nil {
			t.Fatalf("the faster claim: %v, %v", obstacle, err)
		}
	})
	obstacle, err := (&ipam.Allocator{Store: racing, Now: s.Now, Parallel: 1}).Claim(t.Context(), "b", mine, 0)
	if !errors.As(obstacle, &taken) || taken.Owner != "host:a" || err != nil {
		t.Errorf("a claim that another process wins: %v, %v", obstacle, err)
	}
}
