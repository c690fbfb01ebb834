// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestParseToleratesWhatCalicoTolerates uses values with which Calico attaches pods. Each adds one warning and changes
// only its own field.
func TestParseToleratesWhatCalicoTolerates(t *testing.T) {
	const windows = "only Windows nodes use this field; ignoring it, remove it from the configuration of Linux nodes"
	// number returns a setter for the one number that differs from the defaults.
	number := func(field func(*NetConf) *int, value int) func(*NetConf) {
		return func(c *NetConf) { *field(c) = value }
	}
	timeout := func(c *NetConf) *int { return &c.PolicySetupTimeoutSeconds }
	for _, c := range []struct {
		field, json, advice string
		changes             func(*NetConf)
	}{
		{field: "log_level", json: `"loud"`, advice: `want "debug", "info", "warning" or "error"; using "info"`},
		{field: "log_level", json: `"none"`, advice: `want "debug", "info", "warning" or "error"; using "info"`},
		{
			field: "log_file_max_size", json: `-1`,
			advice: "want a number of megabytes, 8796093022207 at most; using the default, 100",
		},
		{
			field: "log_file_max_size", json: `8796093022208`,
			advice: "want a number of megabytes, 8796093022207 at most; using the default, 100",
		},
		{field: "log_file_max_age", json: `-1`, advice: "want a number of days, 106751 at most; using the default, 30"},
		{
			field: "log_file_max_age", json: `106752`,
			advice: "want a number of days, 106751 at most; using the default, 30",
		},
		{field: "log_file_max_count", json: `-5`, advice: "want a number of files; using the default, 10"},
		{field: "burst", json: `-1`, advice: "want a number of requests; using the default, 0"},
		{field: "num_queues", json: `-1`, advice: "want 1 to 4096; using 1"},
		{
			field: "policy_setup_timeout_seconds", json: `86401`, advice: "want seconds up to 86400; using that",
			changes: number(timeout, 86400),
		},
		{field: "ipam.assign_ipv4", json: `"no"`, advice: `want "true" or "false"; using "true"`},
		{field: "ipam.assign_ipv6", json: `"yes"`, advice: `want "true" or "false"; using "false"`},
		{
			field: "mode", json: `"vxlan"`,
			advice: "VXLAN is enabled by the vxlanMode of an IPPool; ignoring this field, remove it",
		},
		{field: "vxlan_mac_prefix", json: `"0E-2A"`, advice: windows},
		{field: "vxlan_vni", json: `4096`, advice: windows},
		{field: "windows_use_single_network", json: `true`, advice: windows},
		{field: "windows_disable_default_deny_all_policy", json: `true`, advice: windows},
		{field: "windows_loopback_DSR", json: `true`, advice: windows},
	} {
		text := string(with(c.field, c.json))
		if sub, inIPAM := strings.CutPrefix(c.field, "ipam."); inIPAM {
			text = `{"name": "n", "ipam": {"type": "calico-ipam", "` + sub + `": ` + c.json + `}}`
		}
		got, err := Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %s: %v", c.field, c.json, err)
			continue
		}
		want := defaults()
		want.Name, want.Type = "n", ""
		if c.changes != nil {
			c.changes(want)
		}
		want.Warnings = []Warning{{c.field, c.json, c.advice}}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(NetConf{}, "RawIPAM")); diff != "" {
			t.Errorf("%s: %s:\n%s", c.field, c.json, diff)
		}
	}
}
