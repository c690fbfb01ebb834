// SPDX-License-Identifier: Apache-2.0

package nat

import (
	"testing"

	"calico-cni/pkg/netstate"
)

func TestPortsForUDP(t *testing.T) {
	tests := []struct {
		ports    netstate.PortRange
		reserved uint16
		want     netstate.PortRange
	}{
		{netstate.PortRange{}, 0, netstate.PortRange{}},
		{netstate.PortRange{}, 4789, netstate.PortRange{First: 4790, Last: 65535}},
		{netstate.PortRange{}, 500, netstate.PortRange{}},
		{netstate.PortRange{}, 60000, netstate.PortRange{First: 1024, Last: 59999}},
		{netstate.PortRange{}, 65535, netstate.PortRange{First: 1024, Last: 65534}},
		{netstate.PortRange{First: 1000, Last: 2000}, 4789, netstate.PortRange{First: 1000, Last: 2000}},
		{netstate.PortRange{First: 4000, Last: 5000}, 4789, netstate.PortRange{First: 4000, Last: 4788}},
		{netstate.PortRange{First: 4789, Last: 4790}, 4789, netstate.PortRange{First: 4790, Last: 4790}},
		{netstate.PortRange{First: 4788, Last: 4789}, 4789, netstate.PortRange{First: 4788, Last: 4788}},
	}
	for _, test := range tests {
		if got := udpPorts(test.ports, test.reserved); got != test.want {
			t.Errorf("ports %v without %d: %v, want %v", test.ports, test.reserved, got, test.want)
		}
	}
}

func TestConfigurationWithoutNeedsHasNoChains(t *testing.T) {
	if r := Render(Config{NAT: netstate.NAT{ReservedPort: 4789}, Workloads: []string{"cali"}}); len(r.Chains)+len(r.Sets) != 0 {
		t.Errorf("%+v", r)
	}
}
