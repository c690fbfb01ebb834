package nodeipam

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/ipam"
)

// grant is a grant of addresses "address block", of which those with an asterisk were asked for by name.
func grant(lines ...string) (g Grant) {
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

func TestResultHasPrefixesOfBlocksOrOfHostsWhenNamed(t *testing.T) {
	for _, c := range []struct {
		grant Grant
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
		r := c.grant.Result()
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

func TestResultHasItsFamiliesInOldVersionsToo(t *testing.T) {
	r := grant("10.65.185.8 10.65.185.0/26", "fd00::48 fd00::40/122").Result()
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

func TestNamespaceLabelsHaveTheNameWhateverTheLabelsSay(t *testing.T) {
	for _, c := range []struct{ labels, want map[string]string }{
		{nil, map[string]string{"projectcalico.org/name": "shop"}},
		{map[string]string{"team": "a"}, map[string]string{"projectcalico.org/name": "shop", "team": "a"}},
		{map[string]string{"projectcalico.org/name": "bank"}, map[string]string{"projectcalico.org/name": "shop"}},
	} {
		before := fmt.Sprint(c.labels)
		if diff := cmp.Diff(c.want, NamespaceLabels("shop", c.labels)); diff != "" {
			t.Errorf("labels %v (-want +got):\n%s", c.labels, diff)
		}
		if after := fmt.Sprint(c.labels); after != before {
			t.Errorf("the namespace's own labels were %s and are %s", before, after)
		}
	}
}

func TestResultForAnotherMainPluginHasOnlyWhatThatCanProgram(t *testing.T) {
	g := grant("10.0.0.5 10.0.0.0/26", "fd00::5 fd00::/122")
	for plugin, want := range map[string]string{
		"":       "10.0.0.5/26 <nil>, fd00::5/122 <nil>; 2 routes",
		"calico": "10.0.0.5/26 <nil>, fd00::5/122 <nil>; 2 routes",
		"bridge": "10.0.0.5/26 <nil>, fd00::5/122 <nil>; 0 routes",
		"ptp":    "10.0.0.5/26 169.254.1.1, fd00::5/122 fe80::ecee:eeff:feee:eeee; 0 routes",
	} {
		r := g.ResultFor(plugin)
		got := fmt.Sprintf("%s %s, %s %s; %d routes", &r.IPs[0].Address, r.IPs[0].Gateway, &r.IPs[1].Address, r.IPs[1].Gateway, len(r.Routes))
		if got != want {
			t.Errorf("%q: %s, want %s", plugin, got, want)
		}
	}
}
