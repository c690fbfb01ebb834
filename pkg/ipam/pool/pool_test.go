// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"calico-cni/pkg/selector"
)

func sel(t testing.TB, text string) *selector.Selector {
	t.Helper()
	s, err := selector.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func v4(name, cidr string) Pool {
	return Pool{Name: name, CIDR: netip.MustParsePrefix(cidr), BlockSize: 26}
}

func with(p Pool, change func(*Pool)) Pool {
	change(&p)
	return p
}

func samplePools(t testing.TB) []Pool {
	return []Pool{
		v4("zeta", "10.9.0.0/16"),
		with(v4("disabled", "10.1.0.0/16"), func(p *Pool) { p.Disabled = true }),
		with(v4("deleting", "10.2.0.0/16"), func(p *Pool) { p.Deleting = true }),
		with(v4("refused", "10.3.0.0/16"), func(p *Pool) { p.Refused = true }),
		with(v4("manual", "10.4.0.0/16"), func(p *Pool) { p.Manual = true }),
		with(v4("tunnel", "10.5.0.0/16"), func(p *Pool) { p.Uses = []Use{Tunnel} }),
		with(v4("rack", "10.6.0.0/16"), func(p *Pool) { p.Node = sel(t, "rack == '1'") }),
		with(v4("team", "10.7.0.0/16"), func(p *Pool) { p.Namespace = sel(t, "has(team)") }),
		with(v4("alpha", "10.8.0.0/16"), func(p *Pool) { p.Uses = []Use{Workload, Tunnel} }),
		{Name: "six", CIDR: netip.MustParsePrefix("fd00::/48"), BlockSize: 122},
	}
}

func TestChoosePoolsByRequestSelectorsAndUse(t *testing.T) {
	for _, c := range []struct {
		name  string
		query Query
		want  string
	}{
		{"automatic, no labels", Query{Use: Workload}, "alpha zeta"},
		{"node matches", Query{Use: Workload, NodeLabels: map[string]string{"rack": "1"}}, "alpha rack zeta"},
		{"namespace matches", Query{Use: Workload, NamespaceLabels: map[string]string{"team": ""}}, "alpha team zeta"},
		{"other use", Query{Use: Tunnel}, "alpha tunnel zeta"},
		{"nothing for load balancers", Query{Use: LoadBalancer}, ""},
		{"other family", Query{Use: Workload, IPv6: true}, "six"},
		{"requested by name, in the order asked", Query{Use: Workload, Requested: []string{"zeta", "alpha"}}, "zeta alpha"},
		{"requested by CIDR", Query{Use: Workload, Requested: []string{"10.8.0.0/16"}}, "alpha"},
		{"requested by unmasked CIDR", Query{Use: Workload, Requested: []string{"10.8.1.2/16"}}, "alpha"},
		{"requested twice", Query{Use: Workload, Requested: []string{"alpha", "10.8.0.0/16"}}, "alpha"},
		{
			"request ignores selectors and Manual",
			Query{Use: Workload, Requested: []string{"rack", "team", "manual"}},
			"rack team manual",
		},
		{"request does not ignore the use", Query{Use: Workload, Requested: []string{"tunnel", "alpha"}}, "alpha"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pools := samplePools(t)
			chosen, rejected, err := Choose(pools, c.query)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, p := range chosen {
				names = append(names, p.Name)
			}
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("chose %q, want %q", got, c.want)
			}
			family := 9
			if c.query.IPv6 {
				family = 1
			}
			if len(c.query.Requested) == 0 && len(chosen)+len(rejected) != family {
				t.Errorf("%d chosen and %d rejected of %d pools: %v", len(chosen), len(rejected), family, rejected)
			}
		})
	}
}

func TestRequestedUnusablePoolIsAnError(t *testing.T) {
	for want, reason := range map[string]string{
		"nowhere": "no IPv4 pool has this name or CIDR", "10.99.0.0/16": "no IPv4 pool has this name or CIDR",
		"six": "no IPv4 pool has this name or CIDR", "disabled": "it is disabled", "10.1.0.0/16": "it is disabled",
		"deleting": "it is being deleted", "refused": "it is not allocatable",
	} {
		_, _, err := Choose(samplePools(t), Query{Use: Workload, Requested: []string{"alpha", want}})
		promise := fmt.Sprintf("the given pool (%s) does not exist, or is not enabled", want)
		if !errors.Is(err, ErrUnknownPool) ||
			!strings.Contains(err.Error(), promise) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: got %v, want it to say %q and %q", want, err, promise, reason)
		}
	}
}

func TestValidateRejectsInvalidPools(t *testing.T) {
	for _, c := range []struct {
		cidr  string
		size  int
		valid bool
	}{
		{"10.0.0.0/16", 26, true},
		{"10.0.0.0/16", 20, true},
		{"10.0.0.0/16", 32, true},
		{"10.0.0.0/26", 26, true},
		{"10.0.0.7/32", 32, true},
		{"fd00::/48", 122, true},
		{"fd00::/48", 116, true},
		{"fd00::/48", 128, true},
		{"10.0.0.0/16", 19, false},
		{"10.0.0.0/16", 33, false},
		{"10.0.0.0/28", 26, false},
		{"10.0.0.1/16", 26, false},
		{"fd00::/48", 26, false},
		{"fd00::/48", 115, false},
		{"fd00::/48", 129, false},
	} {
		err := Pool{Name: "p", CIDR: netip.MustParsePrefix(c.cidr), BlockSize: c.size}.Validate()
		if (err == nil) != c.valid || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s in /%d: %v, want valid %v", c.cidr, c.size, err, c.valid)
		}
	}
	if err := (Pool{BlockSize: 26}).Validate(); !errors.Is(err, ErrInvalid) {
		t.Errorf("no cidr: %v", err)
	}
}

func TestValidateRejectsSpecialRanges(t *testing.T) {
	for _, c := range []struct {
		cidr    string
		size    int
		special string
	}{
		{cidr: "0.0.0.0/24", size: 26, special: "0.0.0.0/8 (unspecified)"},
		{cidr: "0.0.0.0/0", size: 26, special: "0.0.0.0/8 (unspecified)"},
		{cidr: "127.10.0.0/16", size: 26, special: "127.0.0.0/8 (loopback)"},
		{cidr: "126.0.0.0/7", size: 26, special: "127.0.0.0/8 (loopback)"},
		{cidr: "169.254.1.0/24", size: 26, special: "169.254.0.0/16 (link-local)"},
		{cidr: "224.0.0.0/24", size: 26, special: "224.0.0.0/4 (multicast)"},
		{cidr: "239.255.255.0/24", size: 26, special: "224.0.0.0/4 (multicast)"},
		{cidr: "::/122", size: 122, special: "::/128 (unspecified)"},
		{cidr: "::1/128", size: 128, special: "::1/128 (loopback)"},
		{cidr: "fe80::/64", size: 122, special: "fe80::/10 (link-local)"},
		{cidr: "febf:ffff::/64", size: 122, special: "fe80::/10 (link-local)"},
		{cidr: "ff02::/64", size: 122, special: "ff00::/8 (multicast)"},
		{cidr: "1.0.0.0/8", size: 26},
		{cidr: "126.255.255.0/24", size: 26},
		{cidr: "128.0.0.0/24", size: 26},
		{cidr: "169.253.0.0/16", size: 26},
		{cidr: "169.255.0.0/16", size: 26},
		{cidr: "223.255.255.0/24", size: 26},
		{cidr: "240.0.0.0/24", size: 26},
		{cidr: "::1:0/122", size: 122},
		{cidr: "fe00::/64", size: 122},
		{cidr: "fec0::/64", size: 122},
		{cidr: "fd00::/8", size: 122},
	} {
		err := Pool{Name: "p", CIDR: netip.MustParsePrefix(c.cidr), BlockSize: c.size}.Validate()
		if c.special == "" && err != nil {
			t.Errorf("%s: %v", c.cidr, err)
		}
		if c.special != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.special)) {
			t.Errorf("%s: %v, want it to name %s", c.cidr, err, c.special)
		}
	}
}

func TestWalkVisitsEveryBlockOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits, v6 := rapid.IntRange(0, 10).Draw(t, "bits"), rapid.Bool().Draw(t, "v6")
		size, base := rapid.IntRange(20, 32).Draw(t, "size"), netip.MustParseAddr("10.255.255.255")
		if v6 {
			size, base = size+96, netip.MustParseAddr("fd00:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
		}
		p := Pool{CIDR: netip.PrefixFrom(base, size-bits).Masked(), BlockSize: size}
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		node := rapid.StringN(1, 20, -1).Draw(t, "node")
		seen := map[netip.Prefix]bool{}
		for b := range p.Space(Ranges{}, nil).Walk(node) {
			if seen[b] || b.Bits() != size || b != b.Masked() || !p.CIDR.Contains(b.Addr()) || p.Block(b.Addr()) != b {
				t.Fatalf("block %s of %s (seen: %v)", b, p.CIDR, seen[b])
			}
			seen[b] = true
		}
		if len(seen) != 1<<bits || p.Blocks() != 1<<bits {
			t.Fatalf("%d blocks visited, Blocks returned %d, want %d", len(seen), p.Blocks(), 1<<bits)
		}
	})
}

func TestWalkOrderDependsOnNode(t *testing.T) {
	p := v4("p", "10.0.0.0/16")
	first := func(node string) string {
		var out []string
		for b := range p.Space(Ranges{}, nil).Walk(node) {
			if out = append(out, b.String()); len(out) == 4 {
				break
			}
		}
		return strings.Join(out, " ")
	}
	if once, again := first("node-1"), first("node-1"); once != again {
		t.Error("the order for one node changes")
	}
	distinct := map[string]bool{}
	for i := range 100 {
		start, _, _ := strings.Cut(first(fmt.Sprint("node-", i)), " ")
		distinct[start] = true
	}
	if len(distinct) < 80 {
		t.Errorf("100 nodes start at only %d blocks of 1024", len(distinct))
	}
}

func TestWalkOfHugePool(t *testing.T) {
	p := Pool{CIDR: netip.MustParsePrefix("fd00::/8"), BlockSize: 128}
	n := 0
	for b := range p.Space(Ranges{}, nil).Walk("node") {
		if !p.CIDR.Contains(b.Addr()) {
			t.Fatalf("%s lies outside", b)
		}
		if n++; n == 1000 {
			return
		}
	}
}

func TestNeedsNodeLabels(t *testing.T) {
	all := with(v4("all", "10.0.0.0/16"), func(p *Pool) { p.Node = sel(t, "all()") })
	if NeedsNodeLabels([]Pool{v4("none", "10.1.0.0/16"), all}) {
		t.Error("needed for all()")
	}
	if !NeedsNodeLabels(samplePools(t)) {
		t.Error("not needed for rack == '1'")
	}
}
