// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"encoding/json"
	"fmt"
	"testing"

	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"
)

func TestAddrsOfIgnoresAddressesOfEarlierPlugins(t *testing.T) {
	const host, pod = `{"name": "cali1"}`, `{"name": "eth0", "sandbox": "/ns"}`
	for name, c := range map[string]struct{ interfaces, ips, want string }{
		"own addresses, IPv4 first": {
			host + "," + pod,
			`{"address": "fd00::5/128", "interface": 1}, {"address": "10.0.0.5/32", "interface": 1}`, "[10.0.0.5 fd00::5]",
		},
		"without an interface, no own address": {host + "," + pod, `{"address": "10.0.0.5/32"}`, "[10.0.0.5]"},
		"without an interface, and an own address": {
			host + "," + pod,
			`{"address": "192.0.2.7/24"}, {"address": "10.0.0.5/32", "interface": 1}`, "[10.0.0.5]",
		},
		"with the index of a missing interface": {
			host + "," + pod,
			`{"address": "192.0.2.7/24", "interface": 9}, {"address": "10.0.0.5/32", "interface": 1}`, "[10.0.0.5]",
		},
		"interface of the same name in another sandbox": {
			`{"name": "eth0", "sandbox": "/other"},` + host + "," + pod,
			`{"address": "192.0.2.7/24", "interface": 0}, {"address": "10.0.0.5/32", "interface": 2}`, "[10.0.0.5]",
		},
		"interface of the same name on the host": {
			`{"name": "eth0"},` + host + "," + pod, `{"address": "192.0.2.7/24", "interface": 0}`, "[]",
		},
		"another path of the sandbox": {
			`{"name": "eth0", "sandbox": "/run/ns"}`, `{"address": "10.0.0.5/32", "interface": 0}`, "[10.0.0.5]",
		},
	} {
		result := `{"interfaces": [` + c.interfaces + `], "ips": [` + c.ips + `]}`
		r := &current.Result{}
		if err := json.Unmarshal([]byte(result), r); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, fmt.Sprint(AddrsOf(r, "eth0", "/ns"))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
