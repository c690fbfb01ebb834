// SPDX-License-Identifier: Apache-2.0

package startup

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam/pool"
)

func v4(cidr string) Pool {
	return Pool{"default-ipv4-ippool", spec.IPPool{
		CIDR: cidr, BlockSize: 26, IPIPMode: "Never", VXLANMode: "Never", NATOutgoing: true, NodeSelector: "all()",
		AllowedUses: []string{"Workload", "Tunnel"},
	}}
}

func v6(cidr string) Pool {
	return Pool{"default-ipv6-ippool", spec.IPPool{
		CIDR: cidr, BlockSize: 122, IPIPMode: "Never", VXLANMode: "Never", NodeSelector: "all()",
		AllowedUses: []string{"Workload", "Tunnel"},
	}}
}

func with(p Pool, change func(*spec.IPPool)) Pool {
	change(&p.Spec)
	return p
}

const kubeadm = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nnetworking:\n" +
	"  podSubnet: 10.244.0.0/16, fd00:10:244::/56\n  serviceSubnet: 10.96.0.0/12\n"

func TestDefaultPools(t *testing.T) {
	type env = map[string]string
	prefix := netip.MustParsePrefix
	for _, tt := range []struct {
		name string
		in   PoolInputs
		want []Pool
		err  string
	}{
		{"nothing configured", PoolInputs{}, []Pool{v4("192.168.0.0/16")}, ""},
		{"node in 192.168", PoolInputs{Node: prefix("192.168.7.1/24")}, []Pool{v4("172.16.0.0/16")}, ""},
		{"node in a large subnet", PoolInputs{Node: prefix("192.0.2.1/8")}, []Pool{v4("172.16.0.0/16")}, ""},
		{"node elsewhere", PoolInputs{Node: prefix("172.16.0.1/16")}, []Pool{v4("192.168.0.0/16")}, ""},
		{
			"IPv6",
			PoolInputs{IPv6: true, GlobalID: [5]byte{1, 2, 3, 4, 5}},
			[]Pool{v4("192.168.0.0/16"), v6("fd01:203:405::/48")},
			"",
		},
		{"kubeadm", PoolInputs{Kubeadm: kubeadm}, []Pool{v4("10.244.0.0/16")}, ""},
		{"kubeadm, dual stack", PoolInputs{Kubeadm: kubeadm, IPv6: true}, []Pool{v4("10.244.0.0/16"), v6("fd00:10:244::/56")}, ""},
		{"variable over kubeadm", PoolInputs{Kubeadm: kubeadm, Env: env{"CALICO_IPV4POOL_CIDR": "10.1.2.3/16"}}, []Pool{v4("10.1.0.0/16")}, ""},
		{"pool exists", PoolInputs{Existing: []netip.Prefix{prefix("10.0.0.0/8")}}, nil, ""},
		{
			"pool of the other family exists",
			PoolInputs{Existing: []netip.Prefix{prefix("fd00::/48")}, IPv6: true},
			[]Pool{v4("192.168.0.0/16")},
			"",
		},
		{"none", PoolInputs{Env: env{"CALICO_IPV4POOL_CIDR": "None"}}, nil, ""},
		{"no default pools", PoolInputs{Env: env{"NO_DEFAULT_POOLS": "True"}, IPv6: true}, nil, ""},
		{"all variables", PoolInputs{IPv6: true, Env: env{
			"CALICO_IPV4POOL_CIDR": "10.0.0.0/12", "CALICO_IPV4POOL_BLOCK_SIZE": "24", "CALICO_IPV4POOL_IPIP": "CrossSubnet",
			"CALICO_IPV4POOL_VXLAN": "Never", "CALICO_IPV4POOL_NAT_OUTGOING": "false", "CALICO_IPV4POOL_NODE_SELECTOR": "zone == 'a'",
			"CALICO_IPV4POOL_DISABLE_BGP_EXPORT": "true",
			"CALICO_IPV6POOL_CIDR":               "fd00::/48", "CALICO_IPV6POOL_BLOCK_SIZE": "120", "CALICO_IPV6POOL_VXLAN": "Always",
			"CALICO_IPV6POOL_NAT_OUTGOING": "true", "CALICO_IPV6POOL_NODE_SELECTOR": "all()", "CALICO_IPV6POOL_DISABLE_BGP_EXPORT": "false",
		}}, []Pool{
			with(v4("10.0.0.0/12"), func(s *spec.IPPool) {
				s.BlockSize, s.IPIPMode, s.NATOutgoing, s.NodeSelector, s.DisableBGPExport = 24, "CrossSubnet", false, "zone == 'a'", true
			}),
			with(v6("fd00::/48"), func(s *spec.IPPool) { s.BlockSize, s.VXLANMode, s.NATOutgoing = 120, "Always", true }),
		}, ""},

		{"CIDR of the other family", PoolInputs{Env: env{"CALICO_IPV4POOL_CIDR": "fd00::/48"}}, nil, "CALICO_IPV4POOL_CIDR: \"fd00::/48\" is not an IPv4 CIDR; set one such as 192.168.0.0/16, or none"},
		{"bad IPv4 keeps IPv6", PoolInputs{IPv6: true, Env: env{"CALICO_IPV4POOL_CIDR": "x"}}, []Pool{v6("fd00::/48")}, "CALICO_IPV4POOL_CIDR"},
		{"block size", PoolInputs{Env: env{"CALICO_IPV4POOL_BLOCK_SIZE": "x"}}, nil, "CALICO_IPV4POOL_BLOCK_SIZE: \"x\" is not a prefix length; set a number such as 26"},
		{"pool smaller than a block", PoolInputs{Env: env{"CALICO_IPV4POOL_CIDR": "10.0.0.0/28"}}, nil, "CALICO_IPV4POOL_CIDR 10.0.0.0/28 with CALICO_IPV4POOL_BLOCK_SIZE 26"},
		{"link-local", PoolInputs{Env: env{"CALICO_IPV4POOL_CIDR": "169.254.0.0/16"}}, nil, "169.254.0.0/16 (link-local)"},
		{"mode", PoolInputs{Env: env{"CALICO_IPV4POOL_IPIP": "on"}}, nil, "CALICO_IPV4POOL_IPIP: \"on\" is not a mode; set Never, Always or CrossSubnet"},
		{"two modes", PoolInputs{Env: env{"CALICO_IPV4POOL_IPIP": "Always", "CALICO_IPV4POOL_VXLAN": "always"}}, nil, "CALICO_IPV4POOL_IPIP and CALICO_IPV4POOL_VXLAN exclude each other"},
		{"boolean", PoolInputs{Env: env{"CALICO_IPV4POOL_NAT_OUTGOING": "on"}}, nil, "CALICO_IPV4POOL_NAT_OUTGOING: \"on\" is not a boolean; set true or false"},
		{"selector", PoolInputs{Env: env{"CALICO_IPV4POOL_NODE_SELECTOR": "("}}, nil, "CALICO_IPV4POOL_NODE_SELECTOR: invalid selector"},
		{"pools and no pools", PoolInputs{Env: env{"NO_DEFAULT_POOLS": "true", "CALICO_IPV6POOL_CIDR": "fd00::/48"}}, nil, "NO_DEFAULT_POOLS and CALICO_IPV6POOL_CIDR exclude each other"},
		{"no boolean", PoolInputs{Env: env{"NO_DEFAULT_POOLS": "x"}}, nil, "NO_DEFAULT_POOLS: \"x\" is not a boolean"},
		{"bad kubeadm", PoolInputs{Kubeadm: "networking: {podSubnet: x}"}, nil, "podSubnet of kubeadm: \"x\" is not a CIDR; correct the ConfigMap"},
		{"no YAML", PoolInputs{Kubeadm: "\t"}, nil, "correct the ConfigMap kube-system/kubeadm-config"},
		{
			"bad kubeadm does not matter",
			PoolInputs{Kubeadm: "\t", Env: env{"CALICO_IPV4POOL_CIDR": "10.0.0.0/16"}},
			[]Pool{v4("10.0.0.0/16")},
			"correct the ConfigMap",
		},
	} {
		got, err := DefaultPools(tt.in)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s, -want +got:\n%s", tt.name, diff)
		}
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.err)
		}
	}
}

// TestDefaultPoolsAreValid checks for any variables that the pools are valid, that none overlaps the subnet of the node
// unless it was chosen, and that there is at most one per family and none for a family that has one.
func TestDefaultPoolsAreValid(t *testing.T) {
	values := []string{"", "none", "Always", "Never", "true", "26", "20", "all()", "10.0.0.0/8", "fd00::/64", "169.254.0.0/16", "x"}
	var names []string
	for _, f := range []string{"4", "6"} {
		for _, n := range []string{"CIDR", "BLOCK_SIZE", "IPIP", "VXLAN", "NAT_OUTGOING", "NODE_SELECTOR", "DISABLE_BGP_EXPORT"} {
			names = append(names, "CALICO_IPV"+f+"POOL_"+n)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		in := PoolInputs{
			Env:     rapid.MapOfN(rapid.SampledFrom(names), rapid.SampledFrom(values), 0, 6).Draw(t, "env"),
			Kubeadm: rapid.SampledFrom([]string{"", kubeadm, "x"}).Draw(t, "kubeadm"),
			IPv6:    rapid.Bool().Draw(t, "IPv6"),
			Existing: rapid.SliceOfN(rapid.SampledFrom([]netip.Prefix{
				netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/48"),
			}), 0, 2).Draw(t, "existing"),
			Node: netip.MustParsePrefix(rapid.SampledFrom([]string{"192.168.0.1/16", "10.0.0.1/24"}).Draw(t, "node")),
		}
		given := maps.Clone(in.Env)
		pools, err := DefaultPools(in)
		if err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Error("error without text")
		}
		families := map[bool]bool{}
		for _, e := range in.Existing {
			families[e.Addr().Is6()] = true
		}
		for _, p := range pools {
			cidr := netip.MustParsePrefix(p.Spec.CIDR)
			if err := (pool.Pool{CIDR: cidr, BlockSize: p.Spec.BlockSize}).Validate(); err != nil {
				t.Error(err)
			}
			if cidr.Overlaps(in.Node) && given["CALICO_IPV4POOL_CIDR"] == "" && in.Kubeadm != kubeadm {
				t.Errorf("%s overlaps the node", cidr)
			}
			if families[cidr.Addr().Is6()] || cidr.Addr().Is6() && !in.IPv6 {
				t.Errorf("%s is superfluous", cidr)
			}
			families[cidr.Addr().Is6()] = true
			if p.Spec.IPIPMode != "Never" && (p.Spec.VXLANMode != "Never" || cidr.Addr().Is6()) {
				t.Errorf("%+v has two encapsulations, or IPIP with IPv6", p)
			}
			if !slices.Contains(p.Spec.AllowedUses, "Tunnel") {
				t.Error("no tunnel addresses")
			}
		}
	})
}

func TestNeedsKubeadm(t *testing.T) {
	for _, tt := range []struct {
		in   PoolInputs
		want bool
	}{
		{PoolInputs{}, true},
		{PoolInputs{Env: map[string]string{"CALICO_IPV4POOL_CIDR": "10.0.0.0/8"}}, false},
		{PoolInputs{Env: map[string]string{"CALICO_IPV4POOL_CIDR": "10.0.0.0/8"}, IPv6: true}, true},
		{PoolInputs{Env: map[string]string{"NO_DEFAULT_POOLS": "true"}}, false},
		{PoolInputs{Existing: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, false},
	} {
		if got := tt.in.NeedsKubeadm(); got != tt.want {
			t.Errorf("%+v: %v", tt.in, got)
		}
	}
}
