// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestErrorsNameFieldValueAndRemedy(t *testing.T) {
	const url = "want an http or https URL"
	for _, c := range []struct {
		field, value string
		kind         error
		want         string
	}{
		{"mtu", `"1500"`, ErrDecode, `mtu: want a whole number`},
		{"mtu", `1500.5`, ErrDecode, `mtu: want a whole number`},
		{"require_mtu_file", `"true"`, ErrDecode, `require_mtu_file: want true or false, without quotes`},
		{"qps", `"5"`, ErrDecode, `qps: want a number`},
		{"policy", `{"k8s_auth_token": 5}`, ErrDecode, `policy.k8s_auth_token: want a string`},
		{"policy", `"k8s"`, ErrDecode, `policy: want an object`},
		{"readiness_gates", `"http://x"`, ErrDecode, `readiness_gates: want a list`},
		{"kubernetes", `{"kubeconfig": []}`, ErrDecode, `kubernetes.kubeconfig: want a string`},
		{"dataplane_options", `{"type": 1}`, ErrDecode, `dataplane_options.type: want a string`},
		{"ipam", `[]`, ErrDecode, `ipam: want an object`},
		{"ipam", `{"type": 5}`, ErrDecode, `ipam.type: want a string`},
		{"ipam", `{"type": "calico-ipam", "ipv4_pools": "a"}`, ErrDecode, `ipam.ipv4_pools: want a list`},
		{"ipam", `{"type": "calico-ipam", "ipv4_pools": [5]}`, ErrDecode, `ipam.ipv4_pools: want a string`},
		{"ipam", `{"type": "calico-ipam", "exec": "true"}`, ErrDecode, `ipam.exec: want true or false, without quotes`},
		{"ipam", `{"type": "host-local", "subnet": 5}`, ErrDecode, `ipam.subnet: want a string`},

		{"name", `""`, ErrInvalid, `name: "": want the name of the network`},
		{"name", `"a b"`, ErrInvalid, `name: "a b": want a letter or digit, then letters, digits and any of _.-`},
		{"name", `"-a"`, ErrInvalid, `name: "-a": want a letter or digit, then letters, digits and any of _.-`},
		{"name", `"a/../b"`, ErrInvalid, `name: "a/../b": want a letter or digit, then letters, digits and any of _.-`},
		{"name", `"ä"`, ErrInvalid, `name: "ä": want a letter or digit, then letters, digits and any of _.-`},
		{"mtu", `-1`, ErrInvalid, `mtu: -1: want 68 to 65535, or 0 to take it from the file that the node ` +
			`agent writes`},
		{"mtu", `67`, ErrInvalid, `mtu: 67: want 68 to 65535, or 0 to take it from the file that the node ` +
			`agent writes`},
		{"mtu", `65536`, ErrInvalid, `mtu: 65536: want 68 to 65535, or 0 to take it from the file that the node ` +
			`agent writes`},
		{"num_queues", `4097`, ErrInvalid, `num_queues: 4097: want 1 to 4096`},
		{"device_type", `"tap"`, ErrInvalid, `device_type: "tap": want "veth" or "netkit"`},
		{"datastore_type", `"mysql"`, ErrInvalid, `datastore_type: "mysql": want "kubernetes"`},
		{"calico_api_group", `"v2"`, ErrInvalid, `calico_api_group: "v2": want "crd.projectcalico.org/v1" or "projectcalico.org/v3"`},
		{
			"policy_setup_timeout_seconds", `-1`, ErrInvalid,
			`policy_setup_timeout_seconds: -1: want seconds up to 86400, or 0 not to wait`,
		},
		{"readiness_gates", `["http://ok", "bogus"]`, ErrInvalid, `readiness_gates[1]: ` + url},
		{"readiness_gates", `["http://u:secret@%zz"]`, ErrInvalid, `readiness_gates[0]: ` + url},
		{"readiness_gates", `["ftp://a/"]`, ErrInvalid, `readiness_gates[0]: ` + url},
		{"readiness_gates", `["http:///a"]`, ErrInvalid, `readiness_gates[0]: ` + url},
		{
			"runtimeConfig", `{"ips": ["10.0.0.1", "x"]}`, ErrInvalid,
			`runtimeConfig.ips[1]: "x": want an IP address, with or without prefix length`,
		},
		{
			"runtimeConfig", `{"ips": ["10.0.0.1", "10.0.0.2"]}`, ErrInvalid,
			`runtimeConfig.ips[1]: "10.0.0.2": want at most one IPv4 and one IPv6 address`,
		},
		{
			"args", `{"cni": {"ips": ["fe80::1%eth0"]}}`, ErrInvalid,
			`args.cni.ips[0]: "fe80::1%eth0": want an IP address, with or without prefix length`,
		},
		{
			"args", `{"cni": {"ips": ["10.0.0.1/33"]}}`, ErrInvalid,
			`args.cni.ips[0]: "10.0.0.1/33": want an IP address, with or without prefix length`,
		},
		{"runtimeConfig", `{"mac": "01:00:5e:00:00:01"}`, ErrInvalid, `runtimeConfig.mac: "01:00:5e:00:00:01": ` +
			wantMAC},
		{"ipam", `{}`, ErrInvalid, `ipam.type: "": want calico-ipam or the name of another IPAM plugin`},
		{"ipam", `null`, ErrInvalid, `ipam.type: "": want calico-ipam or the name of another IPAM plugin`},
		{"ipam", `{"type": "../sh"}`, ErrInvalid, `ipam.type: "../sh": want the name of a plugin, not a path`},
		{"ipam", `{"type": ".."}`, ErrInvalid, `ipam.type: "..": want the name of a plugin, not a path`},
		{"ipam", `{"type": "static\n"}`, ErrInvalid, `ipam.type: "static\n": want the name of a plugin, not a path`},
		{
			"ipam", `{"type": "calico-ipam", "assign_ipv6": 1}`, ErrInvalid,
			`ipam.assign_ipv6: 1: want "true" or "false"`,
		},
		{
			"ipam", `{"type": "calico-ipam", "assign_ipv4": 1e400}`, ErrInvalid,
			`ipam.assign_ipv4: 1e400: want "true" or "false"`,
		},
		{"nodename_file", `"/a\u0000b"`, ErrInvalid, `nodename_file: "/a\x00b": want the path of a file, without NUL bytes`},
		{"ipam_lock_file", `"\u0000"`, ErrInvalid, `ipam_lock_file: "\x00": want the path of a file, without NUL bytes`},
		{
			"kubernetes", `{"kubeconfig": "/k\u0000"}`, ErrInvalid,
			`kubernetes.kubeconfig: "/k\x00": want the path of a file, without NUL bytes`,
		},
		{
			"policy", `{"k8s_client_key": "/k\u0000"}`, ErrInvalid,
			`policy.k8s_client_key: want the path of a file, without NUL bytes`,
		},
		{
			"ipam", `{"type": "calico-ipam", "ipv4_pools": ["a", ""]}`, ErrInvalid,
			`ipam.ipv4_pools[1]: "": want the name or the CIDR of an IPPool`,
		},
		{
			"ipam", `{"type": "calico-ipam", "ipv4_pools": ["a\nb"]}`, ErrInvalid,
			`ipam.ipv4_pools[0]: "a\nb": want the name or the CIDR of an IPPool`,
		},
		{
			"ipam", `{"type": "calico-ipam", "ipv4_pools": ["` + strings.Repeat("a", 254) + `"]}`, ErrInvalid,
			`ipam.ipv4_pools[0]: "` + strings.Repeat("a", 119) + `…: want the name or the CIDR of an IPPool`,
		},
		{
			"ipam", `{"type": "calico-ipam", "ipv4_pools": ["fd00::/64"]}`, ErrInvalid,
			`ipam.ipv4_pools[0]: "fd00::/64": want the name of an IPPool, or its CIDR, of this IP family`,
		},
		{
			"ipam", `{"type": "calico-ipam", "ipv6_pools": ["10.0.0.0/8"]}`, ErrInvalid,
			`ipam.ipv6_pools[0]: "10.0.0.0/8": want the name of an IPPool, or its CIDR, of this IP family`,
		},
		{
			"ipam", `{"type": "calico-ipam", "ipv4_pools": ["10.0.0.0/33"]}`, ErrInvalid,
			`ipam.ipv4_pools[0]: "10.0.0.0/33": want the name of an IPPool, or its CIDR, of this IP family`,
		},

		{
			"datastore_type", `"etcdv3"`, ErrUnsupported,
			`datastore_type: "etcdv3": only the Kubernetes datastore is supported: want "kubernetes"`,
		},
		{
			"etcd_endpoints", `"http://u:secret@a"`, ErrUnsupported,
			`etcd_endpoints: only the Kubernetes datastore is supported: remove it, or set datastore_type to ` +
				`"kubernetes"`,
		},
		{
			"dataplane_options", `{"type": "grpc", "socket": "/s"}`, ErrUnsupported,
			`dataplane_options.type: "grpc": want "linux", or remove it`,
		},
	} {
		_, err := Parse(with(c.field, c.value))
		if want := c.kind.Error() + ": " + c.want; err == nil || err.Error() != want || !errors.Is(err, c.kind) {
			t.Errorf("%s: %s:\n got %v\nwant %s", c.field, c.value, err, want)
		}
	}
}

func TestParseRejectsUndecodableInput(t *testing.T) {
	for text, want := range map[string]string{
		"": "it is empty; want one JSON object",
		"{": "it ends before the JSON is complete; check whether it was cut off, or lacks a " +
			"closing quote, bracket or brace",
		minimal + "x": fmt.Sprintf("more text follows the JSON at line 1, column %d; remove it",
			len(minimal)+1),
		"\xef\xbb\xbf" + minimal: "it begins with a byte order mark (BOM); save it as UTF-8 without BOM",
		"[]":                     "the configuration: want an object",
		`"secret"`:               "the configuration: want an object",
	} {
		_, err := Parse([]byte(text))
		if want := ErrDecode.Error() + ": " + want; err == nil || err.Error() != want || !errors.Is(err, ErrDecode) {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
	if _, err := Parse([]byte("null")); !errors.Is(err, ErrInvalid) {
		t.Errorf("null: %v, want ErrInvalid", err)
	}
}

func TestParseIgnoresFieldsOfOtherPlugins(t *testing.T) {
	for field, value := range map[string]string{
		"mode": `"bridge"`, "datastore_type": `"kubernetes"`, "vlan": `5`, "isGateway": `true`,
		"dataplane_options": `{"type": "linux", "socket": 5}`,
	} {
		if _, err := Parse(with(field, value)); err != nil {
			t.Errorf("%s: %s: %v", field, value, err)
		}
	}
	kubernetes := `{"name": "n", "ipam": {"type": "calico-ipam"}, "datastore_type": "kubernetes", "etcd_endpoints": ` +
		`"http://a"}`
	if _, err := Parse([]byte(kubernetes)); err != nil {
		t.Errorf("ignored endpoints: %v", err)
	}
}

func TestErrorsClipLongValues(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	conf, err := Parse(with("log_level", `"`+long+`"`))
	if err != nil || len(conf.Warnings) != 1 || len(conf.Warnings[0].Value) > 200 {
		t.Errorf("%+v, %v", conf, err)
	}
	_, err = Parse(with("device_type", `"`+long+`"`))
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("%v", err)
	}
	for _, key := range []string{"ipv4pools", "ipAddrs", "hwAddr", "allowedSourcePrefixes"} {
		_, err := open().Annotations(on(key+`=["`+long+`/"]`), nil)
		if err == nil || len(err.Error()) > 500 {
			t.Errorf("%v", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		minimal, full, emptied, "null", "[]", `{"name": 5}`,
		`{"prevResult": {"ips": [{}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stdin []byte) {
		conf, err := Parse(stdin)
		if err != nil {
			checkKind(t, err)
			return
		}
		if conf.Name == "" || conf.IPAM.Type == "" || conf.MTU < 0 || conf.NumQueues < 1 ||
			conf.PolicySetupTimeout() < 0 {
			t.Errorf("parsed to %+v", conf)
		}
		conf.RequestedIPs()
		if _, err := conf.PrevResult(); err != nil {
			checkKind(t, err)
		}
	})
}

// FuzzErrorsKeepSecrets puts secrets into the fields that hold them, among other faults.
func FuzzErrorsKeepSecrets(f *testing.F) {
	const secret = "hunter2-7c0ffee5"
	f.Add(`"mtu": "x"`, `"a": 1`)
	f.Add(`"mtu": -1`, `"type": 5`)
	f.Add(`"policy": 5`, `"k8s_auth_token": {}`)
	f.Add(`"log_level": "`, `x`)
	f.Add(`"ipam": [`, `]`)
	f.Fuzz(func(t *testing.T, before, within string) {
		for _, text := range []string{
			`{"name": "n", "ipam": {"type": "calico-ipam"}, ` + before + `, "policy": {` + within +
				`, "k8s_auth_token": "` + secret + `", "k8s_client_key": "` + secret + `"}}`,
			`{"name": "n", "ipam": {"type": "calico-ipam"}, "policy": {"k8s_auth_token": ["` + secret + `"]}, ` +
				before + `}`,
			`{"name": "n", "ipam": {"type": "calico-ipam"}, "etcd_endpoints": "http://u:` + secret + `@a", ` + before +
				`}`,
			`{"name": "n", "ipam": {"type": "calico-ipam"}, "readiness_gates": ["http://u:` + secret + `@` +
				strings.ReplaceAll(within, `"`, "") + `"]}`,
		} {
			if _, err := Parse([]byte(text)); err != nil {
				checkKind(t, err)
				if strings.Contains(err.Error(), secret) {
					t.Errorf("Parse(%s): %v", text, err)
				}
			}
		}
	})
}

func checkKind(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrDecode) && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrUnsupported) {
		t.Errorf("%v has no kind", err)
	}
}
