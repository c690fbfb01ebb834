// SPDX-License-Identifier: Apache-2.0

package nat

import (
	"testing"

	"calico-cni/pkg/agent/kernel/nft"
)

func TestPortsForUDP(t *testing.T) {
	tests := []struct {
		ports    nft.Ports
		reserved uint16
		want     nft.Ports
	}{
		{nft.Ports{}, 0, nft.Ports{}},
		{nft.Ports{}, 4789, nft.Ports{Min: 4790, Max: 65535}},
		{nft.Ports{}, 500, nft.Ports{}},
		{nft.Ports{}, 60000, nft.Ports{Min: 1024, Max: 59999}},
		{nft.Ports{}, 65535, nft.Ports{Min: 1024, Max: 65534}},
		{nft.Ports{Min: 1000, Max: 2000}, 4789, nft.Ports{Min: 1000, Max: 2000}},
		{nft.Ports{Min: 4000, Max: 5000}, 4789, nft.Ports{Min: 4000, Max: 4788}},
		{nft.Ports{Min: 4789, Max: 4790}, 4789, nft.Ports{Min: 4790, Max: 4790}},
		{nft.Ports{Min: 4788, Max: 4789}, 4789, nft.Ports{Min: 4788, Max: 4788}},
	}
	for _, test := range tests {
		if got := udpPorts(test.ports, test.reserved); got != test.want {
			t.Errorf("ports %v without %d: %v, want %v", test.ports, test.reserved, got, test.want)
		}
	}
}

func TestConfigurationWithoutNeedsHasNoChains(t *testing.T) {
	if r := Render(Config{ReservedPort: 4789, Workloads: []string{"cali"}}); len(r.Chains)+len(r.Sets) != 0 {
		t.Errorf("%+v", r)
	}
}
