// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"

	"calico-cni/internal/nettest"
)

// attached adds a pod with changes to the configuration, calls look, and deletes the pod.
func attached(t *testing.T, name string, changes map[string]any, look func(link), env ...string) {
	t.Helper()
	p := newPod(t, name)
	unchangedBut(t, "ADD and DEL", withoutPod(p.Name), func() {
		r := add(t, p, changes, env...)
		look(link{p, nettest.Open(t, p.NetNS), r, addrs(t, r)})
		if a := call(t, "DEL", p, changes, env...); a.Exit != 0 {
			t.Errorf("DEL: %+v", a)
		}
	})
}

func TestMTUPrecedence(t *testing.T) {
	const file = "/var/lib/calico/mtu"
	mtuOf := func(name string, changes map[string]any) {
		t.Helper()
		want := changes["want"].(int)
		delete(changes, "want")
		attached(t, name, changes, func(l link) {
			if got := l.podLink(t).Attrs().MTU; got != want || l.result.Interfaces[1].Mtu != want {
				t.Errorf("%s: the pod's MTU is %d, the result's %d, want %d", name, got, l.result.Interfaces[1].Mtu,
					want)
			}
		})
	}
	installed(t)
	_ = os.Remove(file)
	mtuOf("mtu-kernel", map[string]any{"mtu": 0, "want": 1500})
	expectRefusal(t, newPod(t, "mtu-missing"), refusal{
		changes: map[string]any{"mtu": 0, "require_mtu_file": true}, code: 11, says: []string{file, "calico-node"},
	})
	mtuOf("mtu-no-need", map[string]any{"mtu": 1444, "require_mtu_file": true, "want": 1444})
	must(t, os.WriteFile(file, []byte("1333\n"), 0o644))
	t.Cleanup(func() { _ = os.Remove(file) })
	mtuOf("mtu-file", map[string]any{"mtu": 0, "require_mtu_file": true, "want": 1333})
	mtuOf("mtu-before-file", map[string]any{"mtu": 1400, "want": 1400})
	bad := newPod(t, "mtu-bad")
	for _, content := range []string{"large\n", "-1", "67", "65536"} {
		must(t, os.WriteFile(file, []byte(content), 0o644))
		expectRefusal(t, bad, refusal{
			changes: map[string]any{"mtu": 0, "ipam.assign_ipv6": "false"}, code: 11,
			says: []string{file, strings.TrimSpace(content), "from 68"},
		})
	}
}

func TestNodeNamePrecedence(t *testing.T) {
	system, err := os.Hostname()
	must(t, err)
	file := filepath.Join(t.TempDir(), "nodename")
	must(t, os.WriteFile(file, []byte("from-file\n"), 0o644))
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	for name, c := range map[string]struct {
		changes map[string]any
		want    string
	}{
		"nodename": {
			map[string]any{"nodename": "from-conf", "nodename_file": file, "hostname": "from-hostname"},
			"from-conf",
		},
		"file": {map[string]any{"nodename": nil, "nodename_file": file, "hostname": "from-hostname"}, "from-file"},
		"hostname": {map[string]any{
			"nodename": nil, "nodename_file": nowhere, "nodename_file_optional": true,
			"hostname": "from-hostname",
		}, "from-hostname"},
		"system": {
			map[string]any{"nodename": nil, "nodename_file": nowhere, "nodename_file_optional": true},
			strings.ToLower(system),
		},
	} {
		attached(t, "name-"+name, c.changes, func(link) {
			if s := state(t); !strings.Contains(s, fmt.Sprintf(`"node":%q`, c.want)) {
				t.Errorf("%s: no address of node %s:\n%s", name, c.want, s)
			}
		})
	}
}

func TestDeviceFieldsReachKernel(t *testing.T) {
	attached(t, "queues", map[string]any{"num_queues": 3}, func(l link) {
		if a := l.podLink(t).Attrs(); a.NumTxQueues != 3 || a.NumRxQueues != 3 {
			t.Errorf("%d transmit and %d receive queues, want 3", a.NumTxQueues, a.NumRxQueues)
		}
	})
	for _, on := range []bool{true, false} {
		attached(t, fmt.Sprint("forwarding-", on),
			map[string]any{"container_settings": map[string]any{"allow_ip_forwarding": on}}, func(l link) {
				want := map[bool]string{
					true:  "ipv4/ip_forward=1 ipv6/conf/all/forwarding=1",
					false: "ipv4/ip_forward=0 ipv6/conf/all/forwarding=0",
				}[on]
				if dump := l.ns.Dump(); !strings.Contains(dump, want) {
					t.Errorf("want %s in the pod:\n%s", want, dump)
				}
			})
	}
	attached(t, "prefix", nil, func(l link) {
		if name := l.result.Interfaces[0].Name; !strings.HasPrefix(name, "eni") || len(name) != 14 {
			t.Errorf("host interface %s", name)
		}
	}, "FELIX_INTERFACEPREFIX", "eni,cali")
	attached(t, "dns", map[string]any{"dns": map[string]any{"nameservers": []string{"10.96.0.10"}}}, func(l link) {
		if got := fmt.Sprint(l.result.DNS.Nameservers); got != "[10.96.0.10]" {
			t.Errorf("name servers of the result: %s", got)
		}
	})
}

// TestNetkitOrVeth tries which type this kernel supports.
func TestNetkitOrVeth(t *testing.T) {
	want, probe := "veth", &netlink.Netkit{LinkAttrs: netlink.LinkAttrs{Name: "nk-probe"}}
	if netlink.LinkAdd(probe) == nil {
		want = "netkit"
		must(t, netlink.LinkDel(probe))
	}
	attached(t, "netkit", map[string]any{"device_type": "netkit"}, func(l link) {
		if got := l.podLink(t).Type(); got != want {
			t.Errorf("the pod has a %s, want a %s", got, want)
		}
		ping(t, "host to pod", nil, l.addrs[0])
	})
}

func TestLockFileOfConfiguration(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "of-conf.lock")
	attached(t, "lock", map[string]any{"ipam_lock_file": lock}, func(link) {
		if _, err := os.Stat(lock); err != nil {
			t.Error(err)
		}
	})
}

// TestQPSAndBurst sets a rate at which the second request would exceed the command's deadline. The command must fail
// immediately.
func TestQPSAndBurst(t *testing.T) {
	p := newPod(t, "qps")
	expectRefusal(t, p, refusal{
		changes: map[string]any{"qps": 0.001, "burst": 1}, code: 11,
		says: []string{"limits requests to qps 0.001 and burst 1"},
	})
	attached(t, "burst", map[string]any{"qps": 0.001, "burst": 100}, func(link) {})
}

func TestAPIServerFieldsWithoutKubeconfig(t *testing.T) {
	installed(t)
	token, err := n.Server.Accounts().Token(t.Context(), "kube-system", "calico-cni-plugin")
	must(t, err)
	config := n.Server.Config()
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, data, 0o600))
		return path
	}
	ca := file("ca.crt", config.CAData)
	for name, changes := range map[string]map[string]any{
		"token": {
			"kubernetes": map[string]any{"k8s_api_root": n.Server.URL()},
			"policy":     map[string]any{"type": "k8s", "k8s_auth_token": token, "k8s_certificate_authority": ca},
		},
		"certificate": {"kubernetes": nil, "policy": map[string]any{
			"type": "k8s", "k8s_api_root": n.Server.URL(), "k8s_certificate_authority": ca,
			"k8s_client_certificate": file("tls.crt", config.CertData),
			"k8s_client_key":         file("tls.key", config.KeyData),
		}},
	} {
		attached(t, "direct-"+name, changes, func(l link) { ping(t, "host to pod", nil, l.addrs[0]) })
	}
	expectRefusal(t, newPod(t, "direct-bad"), refusal{
		changes: map[string]any{
			"kubernetes": map[string]any{"k8s_api_root": n.Server.URL()},
			"policy":     map[string]any{"k8s_auth_token": secret, "k8s_certificate_authority": ca},
		},
		code: 11, says: []string{"credentials refused", "the CNI configuration"},
	})
}

func TestReadinessGatesAreProbedFirst(t *testing.T) {
	var asked atomic.Int64
	gate := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer gate.Close()
	attached(t, "gate", map[string]any{"readiness_gates": []string{gate.URL, gate.URL + "/healthz"}}, func(link) {
		if asked.Load() != 2 {
			t.Errorf("two gates were probed %d times", asked.Load())
		}
	})
	expectRefusal(t, newPod(t, "gate-bogus"), refusal{
		changes: map[string]any{"readiness_gates": []string{"bogus"}},
		code:    7, says: []string{"readiness_gates[0]"},
	})
}

func TestPolicyWaitUsesConfiguredDirectory(t *testing.T) {
	dir := t.TempDir()
	wait := map[string]any{"policy_setup_timeout_seconds": 1, "endpoint_status_dir": dir}
	const late = "starting the pod before its policies are set up"
	missing := newPod(t, "policy-late")
	if a := call(t, "ADD", missing, wait); a.Exit != 0 || !strings.Contains(a.Stderr, late) {
		t.Errorf("without the file: %+v", a)
	}
	ready := newPod(t, "policy-ready")
	must(t, os.WriteFile(filepath.Join(dir, "k8s default%2Fpolicy-ready eth0"), nil, 0o600))
	if a := call(t, "ADD", ready, wait); a.Exit != 0 || strings.Contains(a.Stderr, late) {
		t.Errorf("with the file: %+v", a)
	}
	expectRefusal(t, newPod(t, "policy-bad"), refusal{
		changes: map[string]any{"policy_setup_timeout_seconds": -1}, code: 7,
		says: []string{"policy_setup_timeout_seconds"},
	})
}

func TestFieldsForOtherPlatformsAreRejected(t *testing.T) {
	p := newPod(t, "beyond")
	for field, value := range map[string]any{
		"datastore_type": "etcdv3", "dataplane_options": map[string]any{"type": "grpc"},
	} {
		t.Run(field, func(t *testing.T) {
			expectRefusal(t, p, refusal{changes: map[string]any{field: value}, code: 2, says: []string{field}})
		})
	}
	for field, value := range map[string]any{
		"datastore_type": "stone", "calico_api_group": "v2",
		"device_type": "string", "num_queues": 4097,
	} {
		t.Run(field+" unknown", func(t *testing.T) {
			expectRefusal(t, p, refusal{changes: map[string]any{field: value}, code: 7, says: []string{field}})
		})
	}
}

// TestToleratedValuesAreWarnings: each command logs one line for each such value and succeeds.
func TestToleratedValuesAreWarnings(t *testing.T) {
	tolerated := map[string]any{
		"log_level": "loud", "log_file_max_size": -1, "num_queues": -1, "burst": -1, "mode": "vxlan",
		"vxlan_mac_prefix": "0E-2A", "vxlan_vni": 4096,
		"windows_use_single_network": true, "windows_disable_default_deny_all_policy": true,
		"windows_loopback_DSR": true, "ipam.assign_ipv6": "yes",
	}
	for _, plugin := range both {
		p := newPod(t, "tolerated-"+plugin)
		path := filepath.Join(t.TempDir(), "log")
		changes := plus(tolerated, "name", "tolerated-"+plugin, "log_file_path", path)
		resultOf(t, ask(t, plugin, "ADD", p, changes))
		for field := range tolerated {
			if got := lines(read(path), "level=WARN", "field="+field+" ", "advice="); len(got) != 1 {
				t.Errorf("%s: %d warnings of %s, want one:\n%s", plugin, len(got), field, read(path))
			}
		}
		expectOK(t, "DEL", ask(t, plugin, "DEL", p, changes))
	}
}

// byHand runs a plugin like a user on the command line.
func byHand(t *testing.T, plugin, name string, changes map[string]any, env ...string) (exit int, stdout,
	stderr string,
) {
	t.Helper()
	config, err := n.Config(changes)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), filepath.Join(n.BinDir(), plugin), name)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = bytes.NewReader(encode(t, config)), &out, &errs, env
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestCommandLineFlags(t *testing.T) {
	installed(t)
	for _, plugin := range []string{"calico", "calico-ipam"} {
		if exit, out, _ := byHand(t, plugin, "-v", nil); exit != 0 || out != "test\n" {
			t.Errorf("%s -v: exit %d, %q", plugin, exit, out)
		}
		exit, out, _ := byHand(t, plugin, "ignored", nil, "CNI_COMMAND=VERSION")
		if exit != 0 || !strings.Contains(out, "supportedVersions") {
			t.Errorf("%s with CNI_COMMAND and an argument: exit %d, %q", plugin, exit, out)
		}
	}
	for name, c := range map[string]struct {
		changes map[string]any
		exit    int
		says    string
	}{
		"ready datastore": {nil, 0, ""},
		"dead server": {
			map[string]any{"kubernetes.kubeconfig": kubeconfig(t, "https://127.0.0.1:1")},
			1,
			"connection refused",
		},
		"rejected token": {
			map[string]any{"kubernetes.kubeconfig": kubeconfig(t, n.Server.URL())},
			1,
			"credentials refused",
		},
		"invalid configuration": {map[string]any{"datastore_type": "etcdv3"}, 1, "datastore_type"},
	} {
		exit, out, errs := byHand(t, "calico", "-t", c.changes, "CNI_COMMAND=ADD")
		if exit != c.exit || out != "" || !strings.Contains(errs, c.says) || strings.Contains(errs, secret) {
			t.Errorf("-t with %s: exit %d, stdout %q, stderr %q", name, exit, out, errs)
		}
	}
	must(t, n.Datastore.Create(t.Context(), "ClusterInformation", "clusterinformations", "default",
		map[string]any{"datastoreReady": false}))
	defer func() { must(t, n.Datastore.Delete(withoutCancel(t.Context()), "clusterinformations", "default")) }()
	if exit, _, errs := byHand(t, "calico", "-t", nil); exit != 1 || !strings.Contains(errs, "datastoreReady") {
		t.Errorf("-t with a locked datastore: exit %d, %q", exit, errs)
	}
}
