// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/ipam"
)

// TestNoAddressErrorReportsCooldownAndReservations fills a pool of one block, in which one address is cooling and one
// is reserved.
func TestNoAddressErrorReportsCooldownAndReservations(t *testing.T) {
	for _, node := range []string{"a", "b"} {
		s := newStore()
		s.IPPools[0].CIDR = netip.MustParsePrefix("10.0.0.0/30")
		s.Settings.Cooldown = 24 * time.Hour
		s.Reserved = []netip.Prefix{netip.MustParsePrefix("10.0.0.3/32")}
		for _, handle := range []string{"net.1", "net.2", "net.3"} {
			mustAssign(t, s, only4("a", handle))
		}
		a := &ipam.Allocator{Store: s, Now: s.Now}
		h, err := a.Lookup(context.Background(), "net.1")
		if err == nil {
			_, err = a.Release(context.Background(), h, nil, s.Settings.Cooldown)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = assign(s, only4(node, "net.late"))
		for _, want := range []string{
			"1 released addresses of these blocks are in their cooldown (retry; IPAMConfig.ipCooldownSeconds is 86400)",
			"1 free addresses of these blocks are reserved (shrink an IPReservation)",
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("node %s: %v, want it to say %q", node, err, want)
			}
		}
	}
}
