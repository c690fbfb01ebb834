// SPDX-License-Identifier: Apache-2.0

package ipamplugin

import (
	"fmt"
	"net/netip"
	"testing"

	"calico-cni/pkg/invocation"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
	"calico-cni/pkg/workload"
)

func TestResultForOtherMainPluginHasNoRoutes(t *testing.T) {
	g := nodeipam.Grant{Assigned: []ipam.Assigned{
		{Addr: netip.MustParseAddr("10.0.0.5"), Block: netip.MustParsePrefix("10.0.0.0/26")},
		{Addr: netip.MustParseAddr("fd00::5"), Block: netip.MustParsePrefix("fd00::/122")},
	}}
	for plugin, want := range map[string]string{
		"":       "10.0.0.5/26 <nil>, fd00::5/122 <nil>; 2 routes",
		"calico": "10.0.0.5/26 <nil>, fd00::5/122 <nil>; 2 routes",
		"bridge": "10.0.0.5/26 <nil>, fd00::5/122 <nil>; 0 routes",
		"ptp":    "10.0.0.5/26 169.254.1.1, fd00::5/122 fe80::ecee:eeff:feee:eeee; 0 routes",
	} {
		r := resultFor(g, &netconf.NetConf{Type: plugin})
		a, b := r.IPs[0], r.IPs[1]
		got := fmt.Sprintf("%s %s, %s %s; %d routes", &a.Address, a.Gateway, &b.Address, b.Gateway, len(r.Routes))
		if got != want {
			t.Errorf("%q: %s, want %s", plugin, got, want)
		}
	}
}

// TestRequestNamesInterfaceForOtherMainPlugins ensures that a repeated DEL of net1 does not release the address of
// eth0.
func TestRequestNamesInterfaceForOtherMainPlugins(t *testing.T) {
	for kind, want := range map[string]bool{"calico": false, "": false, "macvlan": true} {
		call := &invocation.Call{Conf: &netconf.NetConf{Type: kind}, ID: workload.ID{ContainerID: "c1", IfName: "eth0"}}
		got := request(call, nodeipam.Request{Node: "n1"}, kubeapi.Meta{})
		if got.NamesInterface != want || got.ID != call.ID {
			t.Errorf("type %q: request %+v, want NamesInterface %t", kind, got, want)
		}
	}
}
