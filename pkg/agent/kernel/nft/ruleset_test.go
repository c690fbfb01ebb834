// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"fmt"
	"net/netip"
	"testing"

	"calico-cni/pkg/agent/kernel/nft"
	"calico-cni/pkg/netstate"
)

func TestMerge(t *testing.T) {
	tests := []struct {
		prefixes []string
		want     string
	}{
		{nil, "[]"},
		{[]string{"10.1.0.0/16", "10.0.0.0/16"}, "[{10.0.0.0 10.1.255.255}]"},
		{[]string{"10.0.0.0/16", "10.2.0.0/16"}, "[{10.0.0.0 10.0.255.255} {10.2.0.0 10.2.255.255}]"},
		{[]string{"10.0.0.0/8", "10.2.0.0/16", "10.0.0.0/8"}, "[{10.0.0.0 10.255.255.255}]"},
		{[]string{"10.0.0.7/8"}, "[{10.0.0.0 10.255.255.255}]"},
		{[]string{"255.0.0.0/8", "255.1.0.0/16"}, "[{255.0.0.0 255.255.255.255}]"},
		{[]string{"0.0.0.0/0", "10.0.0.0/8"}, "[{0.0.0.0 255.255.255.255}]"},
		{[]string{"fd00::/8", "fe00::/16"}, "[{fd00:: fe00:ffff:ffff:ffff:ffff:ffff:ffff:ffff}]"},
	}
	for _, test := range tests {
		var prefixes []netip.Prefix
		for _, p := range test.prefixes {
			prefixes = append(prefixes, netip.MustParsePrefix(p))
		}
		if got := fmt.Sprint(nft.Merge(prefixes)); got != test.want {
			t.Errorf("%v: %s, want %s", test.prefixes, got, test.want)
		}
	}
}

func TestTagDependsOnExpressions(t *testing.T) {
	a := nft.NewRule("x", nft.Masquerade(netstate.PortRange{First: 1, Last: 2}))
	b := nft.NewRule("x", nft.Masquerade(netstate.PortRange{First: 1, Last: 3}))
	c := nft.NewRule("x", nft.Masquerade(netstate.PortRange{First: 1, Last: 2}))
	if a.Tag == b.Tag || a.Tag != c.Tag {
		t.Errorf("tags %q, %q, %q", a.Tag, b.Tag, c.Tag)
	}
}

func TestExpressionsReferToSetsAndChains(t *testing.T) {
	for want, expr := range map[string]nft.Expr{
		"set ": nft.Source(false, "set", true)[1], " chain": nft.Jump("chain"), " ": nft.Drop(),
	} {
		set, chain := expr.Refers()
		if got := set + " " + chain; got != want {
			t.Errorf("refers to %q, want %q", got, want)
		}
	}
}
