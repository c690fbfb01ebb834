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
	const own = `{"name": "cali1"}, {"name": "eth0", "sandbox": "/ns"}`
	for name, c := range map[string]struct{ result, want string }{
		"its own, IPv4 first": {
			`{"interfaces": [` + own + `], "ips": [{"address": "fd00::5/128", "interface": 1}, {"address": "10.0.0.5/32", "interface": 1}]}`, "[10.0.0.5 fd00::5]",
		},
		"of no interface, and none of its own": {`{"interfaces": [` + own + `], "ips": [{"address": "10.0.0.5/32"}]}`, "[10.0.0.5]"},
		"of no interface, beside its own": {
			`{"interfaces": [` + own + `], "ips": [{"address": "192.0.2.7/24"}, {"address": "10.0.0.5/32", "interface": 1}]}`, "[10.0.0.5]",
		},
		"of an interface that is not there": {
			`{"interfaces": [` + own + `], "ips": [{"address": "192.0.2.7/24", "interface": 9}, {"address": "10.0.0.5/32", "interface": 1}]}`, "[10.0.0.5]",
		},
		"of its namesake in another sandbox": {
			`{"interfaces": [{"name": "eth0", "sandbox": "/other"}, ` + own + `],
			"ips": [{"address": "192.0.2.7/24", "interface": 0}, {"address": "10.0.0.5/32", "interface": 2}]}`, "[10.0.0.5]",
		},
		"of its namesake on the host": {
			`{"interfaces": [{"name": "eth0"}, ` + own + `], "ips": [{"address": "192.0.2.7/24", "interface": 0}]}`, "[]",
		},
		"in a sandbox by another path": {
			`{"interfaces": [{"name": "eth0", "sandbox": "/run/ns"}], "ips": [{"address": "10.0.0.5/32", "interface": 0}]}`, "[10.0.0.5]",
		},
	} {
		r := &current.Result{}
		if err := json.Unmarshal([]byte(c.result), r); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, fmt.Sprint(AddrsOf(r, "eth0", "/ns"))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
