// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"net/netip"
	"strings"
	"testing"

	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
)

// TestSubnetRequestSkipsNetworkAndBroadcastAddresses allocates until a pool of one block is full. A container whose
// neighbors have the prefix length of the block cannot use the network and the broadcast address of the block.
func TestSubnetRequestSkipsNetworkAndBroadcastAddresses(t *testing.T) {
	for _, c := range []struct{ cidr, want string }{
		{"10.0.0.8/29", "10.0.0.9 10.0.0.10 10.0.0.11 10.0.0.12 10.0.0.13 10.0.0.14"},
		{"10.0.0.8/31", "10.0.0.8 10.0.0.9"},
		{"10.0.0.8/32", "10.0.0.8"},
		{"fd00::8/126", "fd00::9 fd00::a fd00::b"},
		{"fd00::8/127", "fd00::8 fd00::9"},
	} {
		s := newStore()
		cidr := netip.MustParsePrefix(c.cidr)
		s.IPPools = []pool.Pool{{Name: "p", CIDR: cidr, BlockSize: cidr.Bits()}}
		got, err := fillSubnet(s, cidr.Addr().Is6())
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %s", c.cidr, got, c.want)
		}
		unusable := strings.Contains(err.Error(), "network, broadcast or anycast addresses")
		if want := cidr.Addr().BitLen()-cidr.Bits() > 1; unusable != want {
			t.Errorf("%s: %v, want addresses that cannot be used named: %t", c.cidr, err, want)
		}
	}
}

// fillSubnet allocates addresses in the subnet of their block until there is none.
func fillSubnet(s *memstore.Store, ipv6 bool) (got []string, err error) {
	for {
		r := only4("a", "net."+strings.Repeat("x", len(got)+1))
		r.Wants[0].IPv6, r.Subnet = ipv6, true
		assigned, err := assign(s, r)
		if err != nil {
			return got, err
		}
		got = append(got, assigned)
	}
}
