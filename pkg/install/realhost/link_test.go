// SPDX-License-Identifier: Apache-2.0

package realhost

import (
	"strings"
	"testing"
)

func TestDefaultLink(t *testing.T) {
	const head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	zero := strings.Repeat("0", 32)
	for _, tt := range []struct {
		name, table string
		find        func(table string) string
		want        string
	}{
		{
			"IPv4",
			head + "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n" +
				"eth1\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n",
			link4, "eth1",
		},
		{"IPv4, half of the addresses", head + "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n", link4, ""},
		{"IPv4, none", head, link4, ""},
		{
			"IPv6", "fd000000000000000000000000000000 40 " + zero + " 00 " + zero +
				" 00000100 00000001 00000000 00000001     eth0\n" +
				zero + " 00 " + zero + " 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth2\n",
			link6, "eth2",
		},
		{
			"IPv6, the route to nowhere",
			zero + " 00 " + zero + " 00 " + zero + " ffffffff 00000001 00000000 00200200       lo\n", link6, "",
		},
	} {
		if got := tt.find(tt.table); got != tt.want {
			t.Errorf("%s: link %q; want %q", tt.name, got, tt.want)
		}
	}
}

func link4(table string) string { return defaultLink4(strings.NewReader(table)) }
func link6(table string) string { return defaultLink6(strings.NewReader(table)) }
