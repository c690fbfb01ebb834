// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/nodeipam"
)

func TestWithRequestChangesOnlyTheRequest(t *testing.T) {
	const stdin = `{"name":"net","other":{"kept":1},"args":{"labels":["x"]},` +
		`"ipam":{"type":"calico-ipam","exec":true,"assign_ipv4":"true","mine":"kept"}}`
	for name, c := range map[string]struct {
		request nodeipam.Request
		want    string
	}{
		"families and pools": {
			nodeipam.Request{IPv6: nodeipam.Family{Wanted: true, Pools: []string{"six"}}},
			`{"args":{"labels":["x"]},"ipam":{"assign_ipv4":"false","assign_ipv6":"true","exec":true,"ipv4_pools":null,` +
				`"ipv6_pools":["six"],"mine":"kept","type":"calico-ipam"},"name":"net","other":{"kept":1}}`,
		},
		"addresses": {
			nodeipam.Request{IPv4: nodeipam.Family{Wanted: true, Addr: netip.MustParseAddr("10.0.0.5")}},
			`{"args":{"cni":{"ips":["10.0.0.5"]},"labels":["x"]},"ipam":{"assign_ipv4":"true","assign_ipv6":"false",` +
				`"exec":true,"ipv4_pools":null,"ipv6_pools":null,"mine":"kept","type":"calico-ipam"},"name":"net",` +
				`"other":{"kept":1}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := withRequest([]byte(stdin), c.request)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}
