// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"net/netip"
	"strings"
	"testing"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane/linux"
)

func TestSpecRoutesReplaceDefaultRoutes(t *testing.T) {
	for name, c := range map[string]struct {
		addrs  []netip.Addr
		routes string
		want   string
	}{
		"of both families": {[]netip.Addr{addr4, addr6}, "10.96.0.0/12 fd00:96::/112", `
			route 10.96.0.0/12 via 169.254.1.1
			route6 fd00:96::/112 via fe80::ecee:eeff:feee:eeee`},
		"of a family without address": {[]netip.Addr{addr4}, "10.96.0.0/12 fd00:96::/112", `
			route 10.96.0.0/12 via 169.254.1.1`},
		"of only one family": {[]netip.Addr{addr4, addr6}, "fd00:96::/112", `
			route6 fd00:96::/112 via fe80::ecee:eeff:feee:eeee`},
		"with the default": {[]netip.Addr{addr4}, "0.0.0.0/0 10.96.0.1/32", `
			route 10.96.0.1/32 via 169.254.1.1
			route default via 169.254.1.1`},
	} {
		t.Run(name, func(t *testing.T) {
			node, pod := newNode(t), newPod(t)
			spec := specFor(pod, c.addrs...)
			for text := range strings.FieldsSeq(c.routes) {
				spec.Routes = append(spec.Routes, netip.MustParsePrefix(text))
			}
			mustSetup(t, node, linux.New(""), spec)
			if got, want := gatewayRoutes(t, pod), strings.ReplaceAll(c.want, "\t", ""); got != want {
				t.Errorf("routes through a gateway:%s\nwant:%s", got, want)
			}
		})
	}
}

// gatewayRoutes returns the routes through a gateway, each cut after the gateway.
func gatewayRoutes(t *testing.T, ns *nettest.NetNS) string {
	var out string
	for line := range strings.Lines(state(t, ns)) {
		if route, _, ok := strings.Cut(line, " scope="); ok && strings.Contains(route, " via ") {
			out += "\n" + strings.TrimSpace(route)
		}
	}
	return out
}
