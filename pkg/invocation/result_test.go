// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"net/netip"
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/nodeipam"
)

// grant is a grant of addresses "address block", of which those with an asterisk were requested.
func grant(lines ...string) (g nodeipam.Grant) {
	for _, line := range lines {
		addr, block, _ := strings.Cut(line, " ")
		block, named := strings.CutSuffix(block, " *")
		got := ipam.Assigned{Addr: netip.MustParseAddr(addr), Block: netip.MustParsePrefix(block)}
		g.Assigned = append(g.Assigned, got)
		if named {
			g.Requested = append(g.Requested, got.Addr)
		}
	}
	return g
}

func TestResultHasPrefixOfBlockOrOfRequestedHost(t *testing.T) {
	for _, c := range []struct {
		grant nodeipam.Grant
		want  string
	}{
		{grant(), ""},
		{grant("10.65.185.8 10.65.185.0/26"), "10.65.185.8/26"},
		{grant("10.65.185.8 10.65.185.0/26 *"), "10.65.185.8/32"},
		{grant("10.65.185.8 10.65.185.8/32"), "10.65.185.8/32"},
		{grant("fd00::48 fd00::40/122"), "fd00::48/122"},
		{grant("fd00::48 fd00::40/122 *"), "fd00::48/128"},
		{grant("10.65.185.8 10.65.185.0/26", "fd00::48 fd00::40/122 *"), "10.65.185.8/26 fd00::48/128"},
	} {
		r := Result(c.grant)
		var ips, routes []string
		for _, ip := range r.IPs {
			if ip.Interface != nil || ip.Gateway != nil {
				t.Errorf("%v has an interface or a gateway, which are not for an IPAM plugin to say", ip)
			}
			ips = append(ips, ip.Address.String())
		}
		for _, route := range r.Routes {
			routes = append(routes, route.Dst.String())
		}
		if got := strings.Join(ips, " "); got != c.want {
			t.Errorf("addresses are %q, want %q", got, c.want)
		}
		if got := strings.Join(routes, " "); got != c.want {
			t.Errorf("routes are %q, want one for each of the addresses %q", got, c.want)
		}
		if r.CNIVersion != "1.1.0" || len(r.Interfaces) > 0 {
			t.Errorf("result is of version %q with interfaces %v", r.CNIVersion, r.Interfaces)
		}
	}
}

func TestResultConvertsToOldVersion(t *testing.T) {
	r := Result(grant("10.65.185.8 10.65.185.0/26", "fd00::48 fd00::40/122"))
	old, err := r.GetAsVersion("0.2.0")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := old.PrintTo(&out); err != nil {
		t.Fatal(err)
	}
	const want = `{"cniVersion":"0.2.0","ip4":{"ip":"10.65.185.8/26","routes":[{"dst":"10.65.185.8/26"}]},` +
		`"ip6":{"ip":"fd00::48/122","routes":[{"dst":"fd00::48/122"}]},"dns":{}}`
	if got := strings.Join(strings.Fields(out.String()), ""); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
