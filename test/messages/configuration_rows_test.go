// SPDX-License-Identifier: Apache-2.0

package messages_test

import (
	"encoding/json"
	"testing"

	"calico-cni/conflist"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
	"calico-cni/pkg/workload"
)

// configured makes an ADD with changes to the configuration.
func configured(changes ...any) func(t *testing.T) outcome {
	return func(t *testing.T) outcome {
		all := map[string]any{}
		for i := 0; i < len(changes); i += 2 {
			all[changes[i].(string)] = changes[i+1]
		}
		return pluginCall{verb: "ADD", changes: all}.run(t)
	}
}

// stdin makes an ADD with a text on standard input.
func stdin(text string) func(t *testing.T) outcome {
	return func(t *testing.T) outcome { return pluginCall{verb: "ADD", stdin: &text}.run(t) }
}

// environment makes an ADD with an environment variable.
func environment(name, value string) func(t *testing.T) outcome {
	return func(t *testing.T) outcome {
		return pluginCall{verb: "ADD", env: map[string]string{name: value}}.run(t)
	}
}

// annotated parses an annotation of a pod.
func annotated(conf, key, value string) func(t *testing.T) outcome {
	return func(t *testing.T) outcome {
		c, err := netconf.Parse([]byte(conf))
		must(t, err)
		_, err = c.Annotations(map[string]string{"cni.projectcalico.org/" + key: value}, nil)
		if err == nil {
			t.Fatalf("%s=%s is accepted", key, value)
		}
		return of(err)
	}
}

func rendered(template string) func(t *testing.T) outcome {
	return func(t *testing.T) outcome {
		_, err := conflist.Render("10-calico.conflist", template, conflist.Values{NodeName: "node-1", Token: secret})
		if err == nil {
			t.Fatalf("%q is accepted", template)
		}
		return of(err)
	}
}

func configurationRows() []row {
	const plain = `{"name": "n", "ipam": {"type": "calico-ipam"}}`
	const hostLocal = `{"name": "n", "ipam": {"type": "host-local"}}`
	decode, invalid := []error{netconf.ErrDecode}, []error{netconf.ErrInvalid}
	return []row{
		{cause: "empty configuration", by: stdin(""), code: 6, says: "it is empty", remedy: "want one JSON object"},
		{
			cause:  "byte order mark",
			by:     stdin("\xef\xbb\xbf" + plain),
			code:   6,
			says:   "byte order mark",
			remedy: "save it as UTF-8 without BOM",
		},
		{cause: "UTF-16", by: stdin("\xff\xfe{\x00}\x00"), code: 6, says: "UTF-16", remedy: "save it as UTF-8"},
		{
			cause:  "incomplete JSON",
			by:     stdin(`{"name": "n"`),
			code:   6,
			says:   "ends before the JSON is complete",
			remedy: "cut off",
		},
		{
			cause:  "trailing comma",
			by:     stdin("{\"name\": \"n\",\n}"),
			code:   6,
			says:   "line 2, column 1",
			remedy: "see the quotes and commas there",
		},
		{
			cause:  "text after the configuration",
			by:     stdin(plain + " x"),
			code:   6,
			says:   "more text follows the JSON",
			remedy: "remove it",
		},
		{cause: "list in place of an object", by: stdin("[]"), code: 6, says: "not array", remedy: "want one JSON object"},
		{
			cause:  "unknown CNI version",
			by:     configured("cniVersion", "9.9.9"),
			code:   1,
			says:   `"9.9.9" is not supported`,
			remedy: "set one of 0.1.0",
		},
		{cause: "no network name", by: configured("name", nil), code: 7, says: "has no name", remedy: `set "name"`},
		{cause: "bad network name", by: configured("name", "a/b"), code: 7, says: `"a/b"`, remedy: "want a letter or digit"},
		{
			cause:  "network name that is invalid for objects",
			by:     configured("name", "net_1"),
			code:   7,
			says:   `"net_1"`,
			remedy: "want letters, digits",
			kinds:  invalid,
		},
		{
			cause:  "MTU in quotes",
			by:     configured("mtu", "1500"),
			code:   6,
			says:   "mtu",
			remedy: "want a whole number",
			kinds:  decode,
		},
		{
			cause:  "MTU out of range",
			by:     configured("mtu", 100000),
			code:   7,
			says:   "mtu: 100000",
			remedy: "want 68 to 65535",
			kinds:  invalid,
		},
		{
			cause:  "unknown device type",
			by:     configured("device_type", "tap"),
			code:   7,
			says:   `device_type: "tap"`,
			remedy: `want "veth" or "netkit"`,
			kinds:  invalid,
		},
		{
			cause:  "etcd",
			by:     configured("datastore_type", "etcdv3"),
			code:   2,
			says:   "only the Kubernetes datastore is supported",
			remedy: `want "kubernetes"`,
			kinds:  []error{netconf.ErrUnsupported},
		},
		{
			cause:  "other data plane",
			by:     configured("dataplane_options", map[string]any{"type": "grpc"}),
			code:   2,
			says:   "dataplane_options.type",
			remedy: `want "linux", or remove it`,
			kinds:  []error{netconf.ErrUnsupported},
		},
		{
			cause:  "other API group",
			by:     configured("calico_api_group", "projectcalico.org/v4"),
			code:   7,
			says:   "calico_api_group",
			remedy: `want "crd.projectcalico.org/v1" or "projectcalico.org/v3"`,
			kinds:  []error{netconf.ErrInvalid},
		},
		{
			cause:  "pool that is not a CIDR",
			by:     configured("ipam.ipv4_pools", []string{"10.0.0.0/33"}),
			code:   7,
			says:   "ipam.ipv4_pools[0]",
			remedy: "want the name of an IPPool, or its CIDR",
			kinds:  invalid,
		},
		{
			cause:  "flag that is not a boolean",
			by:     configured("ipam.assign_ipv4", json.Number("1e400")),
			code:   7,
			says:   "ipam.assign_ipv4: 1e400",
			remedy: `want "true" or "false"`,
			kinds:  invalid,
		},
		{
			cause:  "nodename_file with a NUL byte",
			by:     configured("nodename_file", "/a\x00b"),
			code:   7,
			says:   `nodename_file: "/a\x00b"`,
			remedy: "want the path of a file",
			kinds:  invalid,
		},
		{
			cause:  "kubeconfig with a NUL byte",
			by:     configured("kubernetes.kubeconfig", "/a\x00b"),
			code:   7,
			says:   `kubernetes.kubeconfig: "/a\x00b"`,
			remedy: "want the path of a file",
			kinds:  invalid,
		},
		{
			cause:  "readiness gate that is not a URL",
			by:     configured("readiness_gates", []string{"http://u:" + secret + "@%zz"}),
			code:   7,
			says:   "readiness_gates[0]",
			remedy: "want an http or https URL",
			kinds:  invalid,
		},
		{
			cause:  "requested address that is invalid",
			by:     configured("runtimeConfig", map[string]any{"ips": []string{"10.0.0.999"}}),
			code:   7,
			says:   "10.0.0.999",
			remedy: "want an IP address",
			kinds:  invalid,
		},
		{cause: "invalid previous result", by: func(t *testing.T) outcome {
			return pluginCall{
				verb:    "CHECK",
				changes: map[string]any{"prevResult": map[string]any{"ips": []any{map[string]any{"address": "10..5"}}}},
			}.run(
				t,
			)
		}, code: 6, says: "prevResult", remedy: "want the format of the CNI specification", kinds: decode},
		{
			cause:  "no previous result",
			by:     func(t *testing.T) outcome { return pluginCall{verb: "CHECK"}.run(t) },
			code:   7,
			says:   "CHECK without prevResult",
			remedy: "want the result of the ADD",
			kinds:  invalid,
		},
		{
			cause:  "no list of attachments",
			by:     func(t *testing.T) outcome { return pluginCall{verb: "GC"}.run(t) },
			code:   7,
			says:   "GC without cni.dev/valid-attachments",
			remedy: "want the list of attachments to keep",
			kinds:  invalid,
		},
		{
			cause: "no address family", by: func(t *testing.T) outcome {
				path := cluster(t).Kubeconfig()
				return configured("ipam.assign_ipv4", "false", "kubernetes.kubeconfig", path)(t)
			},
			code: 7, says: "neither an IPv4 nor an IPv6 address", remedy: "set ipam.assign_ipv4 or ipam.assign_ipv6",
			kinds: []error{nodeipam.ErrNoFamily},
		},

		{
			cause:  "annotation that is not a list",
			by:     annotated(plain, "ipv4pools", "pool-a"),
			code:   7,
			says:   "cni.projectcalico.org/ipv4pools of the pod",
			remedy: "want a JSON list of strings",
			kinds:  []error{netconf.ErrAnnotation},
		},
		{
			cause:  "annotation with a bad address",
			by:     annotated(plain, "ipAddrs", `["10.0.0"]`),
			code:   7,
			says:   `element "10.0.0"`,
			remedy: "want the address of a host",
			kinds:  []error{netconf.ErrAnnotation},
		},
		{
			cause:  "annotation with a bad prefix",
			by:     annotated(plain, "allowedSourcePrefixes", `["10.0.0.0"]`),
			code:   7,
			says:   `element "10.0.0.0"`,
			remedy: "want a CIDR",
			kinds:  []error{netconf.ErrAnnotation},
		},
		{
			cause:  "annotation with a bad MAC address",
			by:     annotated(plain, "hwAddr", "01:00:5e:00:00:01"),
			code:   7,
			says:   "hwAddr of the pod",
			remedy: "want a unicast MAC address",
			kinds:  []error{netconf.ErrAnnotation},
		},
		{
			cause:  "annotation that is not allowed",
			by:     annotated(plain, "ipAddrsNoIpam", `["10.0.0.5"]`),
			code:   7,
			says:   "not allowed here",
			remedy: "set feature_control.ip_addrs_no_ipam to true",
			kinds:  []error{netconf.ErrAnnotation},
		},
		{
			cause:  "annotation for another IPAM plugin",
			by:     annotated(hostLocal, "ipAddrs", `["10.0.0.5"]`),
			code:   7,
			says:   `IPAM plugin "host-local"`,
			remedy: "remove it",
			kinds:  []error{netconf.ErrAnnotation},
		},

		{
			cause:  "template with a byte order mark",
			by:     rendered("\xef\xbb\xbf{}"),
			code:   100,
			says:   "byte order mark",
			remedy: "save it as UTF-8 without BOM",
		},
		{
			cause:  "template with bad JSON",
			by:     rendered(`{"name": "n", "plugins": [}`),
			code:   100,
			says:   "line 1, column 27",
			remedy: "see the quotes and commas there",
		},
		{
			cause:  "template without plugins",
			by:     rendered(`{"name": "x", "plugins": null}`),
			code:   100,
			says:   "plugins: ",
			remedy: "want a list of plugins",
		},
		{
			cause:  "template with a flag that is not a boolean",
			by:     rendered(`{"name": "x", "disableCheck": null, "plugins": []}`),
			code:   100,
			says:   "disableCheck: ",
			remedy: "want true or false",
		},
		{
			cause:  "template with a bad plugin",
			by:     rendered(`{"cniVersion": "1.0.0", "name": "n", "plugins": ["calico"]}`),
			code:   100,
			says:   "plugin 1",
			remedy: "want",
		},
		{
			cause:  "template with a plugin without type",
			by:     rendered(`{"cniVersion": "1.0.0", "name": "n", "plugins": [{"mtu": 5}]}`),
			code:   100,
			says:   "plugin 1",
			remedy: "set",
		},
	}
}

func environmentRows() []row {
	args := []error{workload.ErrInvalidArgs}
	return []row{
		{cause: "unknown command", by: environment("CNI_COMMAND", "ADDD"), code: 4, says: "ADDD", remedy: "want"},
		{cause: "no interface name", by: environment("CNI_IFNAME", ""), code: 4, says: "CNI_IFNAME", remedy: "set"},
		{
			cause:  "long interface name",
			by:     environment("CNI_IFNAME", "sixteen-letters-"),
			code:   4,
			says:   "CNI_IFNAME",
			remedy: "want 1 to 15 bytes",
		},
		{
			cause:  "bad container ID",
			by:     environment("CNI_CONTAINERID", "../x"),
			code:   4,
			says:   `CNI_CONTAINERID "../x"`,
			remedy: "want a letter or digit",
		},
		{cause: "container ID that is invalid for objects", by: func(t *testing.T) outcome {
			return pluginCall{
				verb:    "ADD",
				changes: map[string]any{"kubernetes.kubeconfig": cluster(t).Kubeconfig()},
				env:     map[string]string{"CNI_CONTAINERID": "a_b"},
			}.run(
				t,
			)
		}, code: 4, says: "a_b", remedy: "want", kinds: args},
		{
			cause:  "malformed CNI_ARGS",
			by:     environment("CNI_ARGS", "K8S_POD_NAME"),
			code:   4,
			says:   "CNI_ARGS: pair 1",
			remedy: "want KEY=VALUE pairs",
			kinds:  args,
		},
		{
			cause:  "unknown key in CNI_ARGS",
			by:     environment("CNI_ARGS", "WHAT=1"),
			code:   4,
			says:   `unknown key "WHAT"`,
			remedy: "add IgnoreUnknown=1",
			kinds:  args,
		},
		{
			cause:  "bad address in CNI_ARGS",
			by:     environment("CNI_ARGS", "IP=10.0.0.5/24"),
			code:   4,
			says:   `IP="10.0.0.5/24"`,
			remedy: "want one IPv4 or IPv6 address",
			kinds:  args,
		},
		{
			cause:  "bad boolean in CNI_ARGS",
			by:     environment("CNI_ARGS", "IgnoreUnknown=maybe"),
			code:   4,
			says:   `IgnoreUnknown="maybe"`,
			remedy: "want 1, true, 0 or false",
			kinds:  args,
		},
		{
			cause:  "pod without namespace",
			by:     environment("CNI_ARGS", "K8S_POD_NAME=a"),
			code:   4,
			says:   `K8S_POD_NAMESPACE=""`,
			remedy: "want both or neither",
			kinds:  args,
		},
		{
			cause:  "bad namespace",
			by:     environment("CNI_ARGS", "K8S_POD_NAME=a;K8S_POD_NAMESPACE=A"),
			code:   4,
			says:   `K8S_POD_NAMESPACE="A"`,
			remedy: "want",
			kinds:  args,
		},
		{
			cause:  "bad pod",
			by:     environment("CNI_ARGS", "K8S_POD_NAME=A;K8S_POD_NAMESPACE=a"),
			code:   4,
			says:   `K8S_POD_NAME="A"`,
			remedy: "want",
			kinds:  args,
		},
		{
			cause:  "long interface prefix",
			by:     func(*testing.T) outcome { _, err := workload.ParsePrefix("toolong"); return of(err) },
			code:   4,
			says:   `FELIX_INTERFACEPREFIX "toolong"`,
			remedy: "want at most 4 characters",
			kinds:  args,
		},
		{
			cause:  "bad interface prefix",
			by:     func(*testing.T) outcome { _, err := workload.ParsePrefix("a/b"); return of(err) },
			code:   4,
			says:   `FELIX_INTERFACEPREFIX "a/b"`,
			remedy: "want letters, digits",
			kinds:  args,
		},
	}
}
