// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"calico-cni/pkg/workload"
)

const minimal = `{"name": "k8s-pod-network", "type": "calico", "ipam": {"type": "calico-ipam"}}`

func defaults() *NetConf {
	return &NetConf{
		CNIVersion: "0.2.0", Name: "k8s-pod-network", Type: "calico",
		NumQueues: 1, DeviceType: "veth",
		NodenameFile: "/var/lib/calico/nodename",
		IPAM:         IPAM{Type: "calico-ipam", AssignIPv4: true}, IPAMLockFile: "/var/run/calico/ipam.lock",
		DatastoreType: "kubernetes", CalicoAPIGroup: "crd.projectcalico.org/v1",
		LogLevel: "info", LogFileMaxSize: 100, LogFileMaxAge: 30, LogFileMaxCount: 10,
		EndpointStatusDir: "/var/run/calico/endpoint-status",
	}
}

func TestParseDefaults(t *testing.T) {
	checkParse(t, minimal, defaults())
}

// emptied is a configuration as templates render it when no value is set.
const emptied = `{
	"cniVersion": "", "name": "k8s-pod-network", "type": "calico", "mode": "", "vxlan_mac_prefix": "", "vxlan_vni": 0,
	"mtu": 0, "num_queues": 0,
	"nodename": "", "nodename_file": "", "datastore_type": "", "log_level": "", "log_file_max_size": 0,
	"device_type": null, "calico_api_group": "",
	"ipam": {"type": "calico-ipam", "assign_ipv4": "", "assign_ipv6": null, "exec": false}, "ipam_lock_file": "",
	"endpoint_status_dir": "",
	"dataplane_options": null, "etcd_endpoints": "", "windows_use_single_network": false,
	"windows_pod_deletion_timestamp_timeout": 600,
	"prevResult": null, "cni.dev/valid-attachments": null, "kubernetes": {}, "policy": {}, "dns": {}, "args": null,
	"runtimeConfig": null
}`

func TestParseEmptyFieldsAsDefaults(t *testing.T) {
	checkParse(t, emptied, defaults())
}

const full = `{
	"cniVersion": "1.1.0", "name": "net-1.a-b", "type": "calico", "mtu": 1410, "require_mtu_file": true,
	"num_queues": 4,
	"device_type": "netkit", "include_default_routes": true, "container_settings": {"allow_ip_forwarding": true},
	"nodename": "n1", "nodename_file": "/n", "nodename_file_optional": true, "hostname": "h1",
	"ipam": {"type": "calico-ipam", "assign_ipv4": "false", "assign_ipv6": "true", "exec": true,
		"ipv4_pools": ["pool-a", "10.0.0.0/16"], "ipv6_pools": ["fd00::/64"], "future": 1},
	"ipam_lock_file": "/lock", "datastore_type": "kubernetes", "calico_api_group": "crd.projectcalico.org/v1",
	"kubernetes": {"kubeconfig": "/k", "k8s_api_root": "https://10.96.0.1:443", "node_name": "n2"},
	"policy": {"type": "k8s", "k8s_api_root": "https://10.96.0.1", "k8s_auth_token": "t",
	"k8s_client_certificate": "/c",
		"k8s_client_key": "/key", "k8s_certificate_authority": "/ca"},
	"qps": 12.5, "burst": 25, "log_level": "Warning", "log_file_path": "/log", "log_file_max_size": 1,
	"log_file_max_age": 2, "log_file_max_count": 3,
	"feature_control": {"ip_addrs_no_ipam": true, "floating_ips": true},
	"readiness_gates": ["http://127.0.0.1:9099/readiness", "https://[::1]/"],
	"policy_setup_timeout_seconds": 7, "endpoint_status_dir": "/status",
	"dns": {"nameservers": ["10.96.0.10"]},
	"runtimeConfig": {"dns": {"domain": "d", "servers": ["10.96.0.10"], "searches": ["s"], "options": ["o"]},
	"ips": ["10.0.0.9/24", "fd00::9"],
		"mac": "0a:58:0a:00:00:05", "portMappings": [{"hostPort": 1}]},
	"args": {"cni": {"ips": ["10.0.0.8"], "labels": [{"key": "a"}]}, "org.apache.mesos": {"network_info": {}}},
	"prevResult": {"cniVersion": "1.1.0"}, "cni.dev/valid-attachments": [{"containerID": "c", "ifname": "eth0"}],
	"cniVersions": ["1.1.0"], "disableCheck": true, "disableGC": true, "plugins": [],
	"capabilities": {"portMappings": true}, "unknown": {"a": [1]}
}`

func TestParseReadsEveryField(t *testing.T) {
	want := &NetConf{
		CNIVersion: "1.1.0", Name: "net-1.a-b", Type: "calico", MTU: 1410, RequireMTUFile: true, NumQueues: 4,
		DeviceType: "netkit", IncludeDefaultRoutes: true, ContainerSettings: ContainerSettings{AllowIPForwarding: true},
		Nodename: "n1", NodenameFile: "/n", NodenameFileOptional: true, Hostname: "h1",
		IPAM: IPAM{
			Type: "calico-ipam", AssignIPv6: true, Exec: true,
			IPv4Pools: []string{"pool-a", "10.0.0.0/16"}, IPv6Pools: []string{"fd00::/64"},
		},
		IPAMLockFile: "/lock", DatastoreType: "kubernetes", CalicoAPIGroup: "crd.projectcalico.org/v1",
		Kubernetes: Kubernetes{"/k", "https://10.96.0.1:443", "n2"},
		Policy:     Policy{"k8s", "https://10.96.0.1", "t", "/c", "/key", "/ca"},
		QPS:        12.5, Burst: 25, LogLevel: "warning", LogFilePath: "/log", LogFileMaxSize: 1, LogFileMaxAge: 2,
		LogFileMaxCount:           3,
		FeatureControl:            FeatureControl{true, true},
		ReadinessGates:            []string{"http://127.0.0.1:9099/readiness", "https://[::1]/"},
		PolicySetupTimeoutSeconds: 7, EndpointStatusDir: "/status",
		DNS: types.DNS{Nameservers: []string{"10.96.0.10"}},
		RuntimeConfig: RuntimeConfig{
			RuntimeDNS{"d", []string{"10.96.0.10"}, []string{"s"}, []string{"o"}},
			[]string{"10.0.0.9/24", "fd00::9"},
			"0a:58:0a:00:00:05",
		},
		RawPrevResult:    json.RawMessage(`{"cniVersion": "1.1.0"}`),
		ValidAttachments: []types.GCAttachment{{ContainerID: "c", IfName: "eth0"}},
	}
	want.Args.CNI.IPs = []string{"10.0.0.8"}
	got := checkParse(t, full, want)
	if got.PolicySetupTimeout() != 7*time.Second {
		t.Errorf("policy setup timeout %v", got.PolicySetupTimeout())
	}
}

func TestIPAMSection(t *testing.T) {
	for section, want := range map[string]IPAM{
		`{"type": "calico-ipam", "assign_ipv4": true, "assign_ipv6": true}`: {
			Type:       "calico-ipam",
			AssignIPv4: true, AssignIPv6: true,
		},
		`{"type": "calico-ipam", "assign_ipv4": false, "assign_ipv6": "TRUE"}`: {
			Type:       "calico-ipam",
			AssignIPv6: true,
		},
		`{"type": "calico-ipam", "assign_ipv6": "false", "ipv4_pools": []}`: {
			Type:       "calico-ipam",
			AssignIPv4: true, IPv4Pools: []string{},
		},
		`{"type": "host-local", "subnet": "usePodCidr", "name": "n"}`: {
			Type:       "host-local",
			AssignIPv4: true, Name: "n", Subnet: "usePodCidr",
		},
		`{"type": "host-local", "ranges": [[{"subnet": "usePodCidr"}]]}`: {
			Type:       "host-local",
			AssignIPv4: true,
		},
		`{"type": "whereabouts", "name": 5, "subnet": {}, "exec": [], "range": 1}`: {
			Type:       "whereabouts",
			AssignIPv4: true,
		},
	} {
		conf, err := Parse(fmt.Appendf(nil, `{"name": "n", "ipam": %s}`, section))
		if err != nil {
			t.Errorf("%s: %v", section, err)
			continue
		}
		if string(conf.RawIPAM) != section {
			t.Errorf("%s: raw section %s", section, conf.RawIPAM)
		}
		if diff := cmp.Diff(want, conf.IPAM); diff != "" {
			t.Errorf("%s:\n%s", section, diff)
		}
	}
}

func TestLevels(t *testing.T) {
	for name, want := range map[string]slog.Level{
		"": slog.LevelInfo, "debug": slog.LevelDebug, "trace": slog.LevelDebug, "Info": slog.LevelInfo,
		"WARNING": slog.LevelWarn,
		"warn":    slog.LevelWarn, "error": slog.LevelError, "fatal": slog.LevelError, "panic": slog.LevelError,
	} {
		conf, err := Parse(with("log_level", fmt.Sprintf("%q", name)))
		if err != nil || conf.Level() != want {
			t.Errorf("log_level %q: %v, %v, want %v", name, conf.Level(), err, want)
		}
	}
}

func TestRequestedIPs(t *testing.T) {
	for fields, want := range map[string]string{
		`"a": 1`: "[]",
		`"args": {"cni": {"ips": ["10.0.0.1", ` +
			`"fd00::1/64"]}}`: "[10.0.0.1 fd00::1]",
		`"runtimeConfig": {"ips": ["10.0.0.2/24"]}, "args": {"cni": {"ips": ["10.0.0.1"]}}`: "[10.0.0.2]",
		`"runtimeConfig": {"ips": []}, "args": {"cni": {"ips": ["::ffff:10.0.0.1", ` +
			`"fd00::9/64"]}}`: "[10.0.0.1 fd00::9]",
	} {
		conf, err := Parse([]byte(`{"name": "n", "ipam": {"type": "calico-ipam"}, ` + fields + `}`))
		if err != nil {
			t.Errorf("%s: %v", fields, err)
			continue
		}
		if got := fmt.Sprint(conf.RequestedIPs()); got != want {
			t.Errorf("%s: %s, want %s", fields, got, want)
		}
	}
}

func TestPrevResultOfEveryVersion(t *testing.T) {
	for _, version := range []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		conf, err := Parse(with("prevResult", `{"cniVersion": "`+version+`",
			"interfaces": [{"name": "cali1"}, {"name": "eth0", "sandbox": "/ns"}],
			"ips": [{"version": "4", "interface": 1, "address": "10.0.0.5/32"}], "routes": [{"dst": "0.0.0.0/0"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		result, err := conf.PrevResult()
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%s %v on %d of %d, %v", result.CNIVersion, &result.IPs[0].Address, *result.IPs[0].Interface,
			len(result.Interfaces), &result.Routes[0].Dst)
		if want := current.ImplementedSpecVersion + " 10.0.0.5/32 on 1 of 2, 0.0.0.0/0"; got != want {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
	}
	for _, version := range []string{"0.1.0", "0.2.0"} {
		conf, err := Parse(with("prevResult",
			`{"cniVersion": "`+version+`", "ip4": {"ip": "10.0.0.5/24", "routes": [{"dst": "0.0.0.0/0"}]}, "ip6": `+
				`{"ip": "fd00::5/64"}}`))
		if err != nil {
			t.Fatal(err)
		}
		result, err := conf.PrevResult()
		if err != nil || len(result.IPs) != 2 || len(result.Routes) != 1 {
			t.Fatalf("%s: %+v, %v", version, result, err)
		}
		got := fmt.Sprintf("%s %v %v, %v", result.CNIVersion, &result.IPs[0].Address, &result.IPs[1].Address,
			&result.Routes[0].Dst)
		if want := current.ImplementedSpecVersion + " 10.0.0.5/24 fd00::5/64, 0.0.0.0/0"; got != want {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
	}
	conf, err := Parse([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	if result, err := conf.PrevResult(); result != nil || err != nil {
		t.Errorf("no prevResult: %v, %v", result, err)
	}
}

func TestPrevResultReportsInvalidResult(t *testing.T) {
	for raw, want := range map[string]string{
		`5`:          "undecodable network configuration: prevResult: want an object",
		`{"ips": 5}`: "undecodable network configuration: prevResult.ips: want a list",
		`{"interfaces": [null]}`: "undecodable network configuration: prevResult.interfaces[0]: want an object with " +
			"dst or address",
		`{"ips": [{"address": "10.0.0.5/32"}, null]}`: "undecodable network configuration: prevResult.ips[1]: want " +
			"an object with dst or address",
		`{"ips": [{}]}`: "undecodable network configuration: prevResult.ips[0]: want an object " +
			"with dst or address",
		`{"routes": [{}]}`: "undecodable network configuration: prevResult.routes[0]: want an object " +
			"with dst or address",
		`{"ip4": {}}`: "undecodable network configuration: prevResult.ips[0]: want an object " +
			"with dst or address",
		`{"routes": [null]}`: "undecodable network configuration: prevResult.routes[0]: want an object " +
			"with dst or address",
		`{"ips": [{"address": "10..5"}]}`: "undecodable network configuration: prevResult: want the format of the " +
			"CNI specification",
	} {
		conf, err := Parse(with("prevResult", raw))
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		if _, err = conf.PrevResult(); err == nil || err.Error() != want || !errors.Is(err, ErrDecode) {
			t.Errorf("%s:\n got %v\nwant %s", raw, err, want)
		}
	}
}

func TestValidAttachmentsEmptyOrAbsent(t *testing.T) {
	conf, err := Parse(with("cni.dev/valid-attachments", "[]"))
	if err != nil || conf.ValidAttachments == nil || len(conf.ValidAttachments) != 0 {
		t.Errorf("empty list: %#v, %v", conf.ValidAttachments, err)
	}
}

func TestParseRejectsIncompleteValidAttachments(t *testing.T) {
	const whole = `{"containerID": "a", "ifname": "eth0"}`
	for list, want := range map[string]string{
		"[null]":                                "cni.dev/valid-attachments[0]: want containerID and ifname",
		"[{}]":                                  "cni.dev/valid-attachments[0]: want containerID and ifname",
		"[" + whole + `, {"containerID": "b"}]`: "cni.dev/valid-attachments[1]: want containerID and ifname",
		"[" + whole + `, {"ifname": "eth0"}]`:   "cni.dev/valid-attachments[1]: want containerID and ifname",
		`[{"container_id": "a", "if_name": "eth0"}]`: "cni.dev/valid-attachments[0]: want containerID and ifname",
	} {
		_, err := Parse(with("cni.dev/valid-attachments", list))
		if !errors.Is(err, ErrInvalid) || err.Error() != "invalid network configuration: "+want {
			t.Errorf("%s:\n got %v\nwant %s", list, err, want)
		}
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	conf, err := Parse(with("policy", `{"k8s_auth_token": "hunter2", "k8s_client_key": "hunter2"}`))
	if err != nil {
		t.Fatal(err)
	}
	if conf.Policy.AuthToken.Reveal() != "hunter2" {
		t.Errorf("the token is %q", conf.Policy.AuthToken.Reveal())
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "conf", conf.Policy, "token", conf.Policy.AuthToken)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "conf", conf.Policy, "token", conf.Policy.AuthToken)
	encoded, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(conf), fmt.Sprintf("%+v", conf), fmt.Sprintf("%#v", conf), fmt.Sprintf("%q", conf.Policy),
		logged.String(), string(encoded),
	} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "[redacted]") {
			t.Errorf("prints as %s", text)
		}
	}
}

func TestRequestedIPsKeepAddress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addr, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "addr"))
		bits := rapid.IntRange(0, 32).Draw(t, "bits")
		text := rapid.SampledFrom([]string{addr.String(), netip.PrefixFrom(addr, bits).String()}).Draw(t, "text")
		conf, err := Parse(with("runtimeConfig", `{"ips": ["`+text+`"]}`))
		if err != nil || len(conf.RequestedIPs()) != 1 || conf.RequestedIPs()[0] != addr {
			t.Fatalf("%s: %v", text, err)
		}
	})
}

// TestNetworkNamesForBlockIPAM covers names that CNI allows but the Kubernetes objects of block IPAM do not.
func TestNetworkNamesForBlockIPAM(t *testing.T) {
	longest := strings.Repeat("a", workload.MaxNetwork)
	for _, c := range []struct {
		name string
		good bool
	}{
		{"k8s-pod-network", true},
		{"Net.1", true},
		{longest, true},
		{longest + "a", false},
		{"net_1", false},
		{"net-", false},
		{"net.", false},
		{"a..b", false},
	} {
		text := func(ipam string) []byte {
			return fmt.Appendf(nil, `{"name": %q, "type": "calico", "ipam": {"type": %q}}`, c.name, ipam)
		}
		if _, err := Parse(text(CalicoIPAM)); (err == nil) != c.good || !c.good && !errors.Is(err, ErrInvalid) {
			t.Errorf("name %q with calico-ipam: %v", c.name, err)
		}
		if _, err := Parse(text("host-local")); err != nil {
			t.Errorf("name %q with host-local: %v", c.name, err)
		}
		conf, err := ParseForRelease(text(CalicoIPAM))
		if conf == nil || conf.Name != c.name || (err == nil) != c.good {
			t.Errorf("name %q for a release: %+v, %v", c.name, conf, err)
		}
	}
}

// with returns a valid configuration with one more field.
func with(field, value string) []byte {
	return fmt.Appendf(nil, `{"name": "n", "ipam": {"type": "calico-ipam"}, %q: %s}`, field, value)
}

// checkParse compares everything except RawIPAM, which the parsed section represents.
func checkParse(t *testing.T, text string, want *NetConf) *NetConf {
	t.Helper()
	got, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(NetConf{}, "RawIPAM")); diff != "" {
		t.Error(diff)
	}
	return got
}
