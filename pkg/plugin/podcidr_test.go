// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/skel"

	"calico-cni/pkg/invocation"
	"calico-cni/pkg/netconf"
)

func TestPodCIDRsReplacePlaceholders(t *testing.T) {
	both := []netip.Prefix{
		netip.MustParsePrefix("10.1.0.0/24"), netip.MustParsePrefix("fd01::/64"), netip.MustParsePrefix("10.9.0.0/24"),
	}
	for _, c := range []struct {
		name, ipam string
		cidrs      []netip.Prefix
		want       string
	}{
		{"subnet", `{"subnet":"usePodCidr","other":1}`, both, `{"other":1,"subnet":"10.1.0.0/24"}`},
		{"IPv6 subnet", `{"subnet":"usePodCidrIPv6"}`, both, `{"subnet":"fd01::/64"}`},
		{"whatever the case", `{"subnet":"usePodCIDR"}`, both, `{"subnet":"10.1.0.0/24"}`},
		{
			"ranges",
			`{"ranges":[[{"subnet":"usePodCidr","rangeStart":"10.1.0.9"}],[{"subnet":"usePodCidrIPv6"}],` +
				`[{"subnet":"10.7.0.0/24"}]]}`, both,
			`{"ranges":[[{"rangeStart":"10.1.0.9","subnet":"10.1.0.0/24"}],[{"subnet":"fd01::/64"}],` +
				`[{"subnet":"10.7.0.0/24"}]]}`,
		},
		{
			"a family that the node has not", `{"ranges":[[{"subnet":"usePodCidrIPv6"}]]}`, both[:1],
			"invalid network configuration: ipam: subnet usePodCidrIPv6: node n has no such pod CIDR: let the controller " +
				"manager allocate them (--allocate-node-cidrs), or name a subnet",
		},
		{"what host-local will refuse", `{"ranges":[7],"subnet":[]}`, both, `{"ranges":[7],"subnet":[]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := withCIDRs([]byte(`{"ipam":`+c.ipam+`}`), "node n", c.cidrs)
			text := strings.TrimSuffix(strings.TrimPrefix(string(got), `{"ipam":`), "}")
			if err != nil {
				text = err.Error()
			}
			if text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}

func TestSomeCIDRsReplacePlaceholdersWithoutNode(t *testing.T) {
	const ipam = `{"subnet":"usePodCidr","rangeStart":"10.1.0.9","rangeEnd":"10.1.0.99","gateway":"10.1.0.1",` +
		`"ranges":[[{"subnet":"10.7.0.0/24","rangeStart":"10.7.0.9"}]],"type":"host-local"}`
	a := unconnected(ipam)
	got, err := a.withSomeCIDRs(t.Context())
	const want = `{"ipam":{"ranges":[[{"rangeStart":"10.7.0.9","subnet":"10.7.0.0/24"}]],"subnet":"192.0.2.0/24",` +
		`"type":"host-local"}}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	if _, err := a.withPodCIDRs(t.Context()); err == nil {
		t.Error("an ADD succeeds without the node's CIDRs")
	}
}

func TestConfigurationWithSubnetsReadsNoNode(t *testing.T) {
	for _, ipam := range []string{
		`{"type":"host-local","subnet":"10.0.0.0/8"}`, `{"type":"other","subnet":"usePodCidr"}`,
	} {
		a := unconnected(ipam)
		for name, f := range map[string]func(context.Context) ([]byte, error){"ADD": a.withPodCIDRs, "DEL": a.withSomeCIDRs} {
			if got, err := f(t.Context()); err != nil || string(got) != string(a.call.CNI.StdinData) {
				t.Errorf("%s, %s: %s, %v", name, ipam, got, err)
			}
		}
	}
}

func TestDelAddsRangeForHostLocal(t *testing.T) {
	const some = `"ranges":[[{"subnet":"192.0.2.0/24"}],[{"subnet":"2001:db8::/64"}]]`
	for _, c := range []struct{ ipam, want string }{
		{`{"type":"host-local"}`, `{` + some + `,"type":"host-local"}`},
		{
			`{"type":"host-local","dataDir":"/run/leases","ranges":[]}`,
			`{"dataDir":"/run/leases",` + some + `,"type":"host-local"}`,
		},
		{`{"type":"host-local","ranges":null,"subnet":""}`, `{` + some + `,"subnet":"","type":"host-local"}`},
		{`{"type":"host-local","subnet":"10.0.0.0/8"}`, ""},
		{`{"type":"host-local","ranges":[[{"subnet":"10.0.0.0/8"}]]}`, ""},
		{`{"type":"host-local","ranges":7}`, ""},
		{`{"type":"static"}`, ""},
	} {
		a := unconnected(c.ipam)
		want := c.want
		if want == "" {
			want = c.ipam
		}
		got, err := a.withSomeRange(a.call.CNI.StdinData)
		if err != nil || string(got) != `{"ipam":`+want+`}` {
			t.Errorf("%s: got %s, %v; want %s", c.ipam, got, err, want)
		}
	}
}

// unconnected returns a delegate on a node without a name and without an API server.
func unconnected(ipam string) delegate {
	call := &invocation.Call{
		Host: invocation.Host{ReadFile: func(string) ([]byte, error) { return nil, fs.ErrNotExist }},
		Conf: &netconf.NetConf{IPAM: netconf.IPAM{Type: strings.Split(strings.SplitAfter(ipam, `"type":"`)[1], `"`)[0]}},
		CNI:  &skel.CmdArgs{StdinData: []byte(`{"ipam":` + ipam + `}`)},
		Log:  slog.New(slog.DiscardHandler),
	}
	return delegate{call: call}
}
