// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"calico-cni/test/node"
	"calico-cni/test/proxy"
)

// repeated is a pod that was added and deleted through a proxy that counts requests.
type repeated struct {
	t       *testing.T
	plugin  string
	pod     *node.Pod
	through *proxy.Proxy
	changes map[string]any
}

// way is a plugin that releases block IPAM. With exec, calico runs calico-ipam as a separate process.
type way struct {
	plugin string
	exec   bool
}

func (w way) String() string {
	if w.exec {
		return w.plugin + "-exec"
	}
	return w.plugin
}

var ways = []way{{plugin: "calico"}, {plugin: "calico", exec: true}, {plugin: "calico-ipam"}}

func newRepeated(t *testing.T, w way, name string) *repeated {
	t.Helper()
	name += "-" + w.String()
	r := &repeated{t: t, plugin: w.plugin, pod: newPod(t, name), through: proxy.Start(t, n.Kubeconfig())}
	r.changes = map[string]any{
		"name": name, "kubernetes.kubeconfig": r.through.Kubeconfig(t, n.Kubeconfig()), "ipam.assign_ipv6": "false",
		"ipam.exec": w.exec,
	}
	return r
}

func (r *repeated) add() {
	r.t.Helper()
	if a := ask(r.t, r.plugin, "ADD", r.pod, r.changes); a.Exit != 0 {
		r.t.Fatalf("ADD: %+v", a)
	}
	r.through.Take()
}

// del calls DEL and expects it to make requests, or none.
func (r *repeated) del(what string, some bool, env ...string) {
	r.t.Helper()
	expectOK(r.t, what, ask(r.t, r.plugin, "DEL", r.pod, r.changes, env...))
	requests, _ := r.through.Take()
	if (len(requests) > 0) != some {
		r.t.Errorf("%s: %d requests, want some: %t\n%s", what, len(requests), some, proxy.Lines(requests))
	}
}

func TestRepeatedDelMakesNoRequest(t *testing.T) {
	for _, w := range ways {
		r := newRepeated(t, w, "repeated")
		before := state(t)
		r.add()
		r.del(w.String()+": first DEL", true)
		for range 3 {
			r.del(w.String()+": repeated DEL", false)
		}
		r.del(w.String()+": DEL of another interface", true, "CNI_IFNAME", "net1")
		r.add()
		r.del(w.String()+": DEL after another ADD", true)
		r.del(w.String()+": repeated DEL after another ADD", false)
		expectSame(t, w.String(), withoutPod(r.pod.Name)(before), withoutPod(r.pod.Name)(state(t)))
	}
}

// TestUncertainDelAsksAPIServer tests each reason for a repeated DEL to make requests.
func TestUncertainDelAsksAPIServer(t *testing.T) {
	const dir = "/var/run/calico/cni"
	for _, w := range ways {
		for _, c := range []struct {
			name    string
			between func(r *repeated)
		}{
			{"a reboot", func(*repeated) { must(t, os.RemoveAll(filepath.Join(dir, "deleted"))) }},
			{"an ADD that failed", func(r *repeated) {
				changes := plus(r.changes, "ipam.ipv4_pools", []string{"no-such-pool"})
				if a := ask(t, r.plugin, "ADD", r.pod, changes); a.Exit == 0 {
					t.Errorf("ADD: %+v", a)
				}
			}},
			{"a queued release", func(r *repeated) {
				entry := mustJSON(t, map[string]any{
					"network": r.changes["name"], "containerID": r.pod.ContainerID,
					"ifName": "eth0", "queued": time.Now(),
				})
				must(t, os.MkdirAll(waitingDir, 0o700))
				must(t, os.WriteFile(filepath.Join(waitingDir,
					r.changes["name"].(string)+"@"+r.pod.ContainerID+"@eth0.json"), []byte(entry), 0o600))
			}},
			{"another cluster", func(r *repeated) {
				data, err := os.ReadFile(r.changes["kubernetes.kubeconfig"].(string))
				must(t, err)
				other := filepath.Join(t.TempDir(), "kubeconfig")
				must(t, os.WriteFile(other, data, 0o600))
				r.changes = plus(r.changes, "kubernetes.kubeconfig", other)
			}},
		} {
			r := newRepeated(t, w, "uncertain-"+strings.ToLower(strings.ReplaceAll(c.name, " ", "-")))
			r.add()
			r.del("first DEL", true)
			c.between(r)
			r.through.Take()
			r.del("DEL after "+c.name, true)
			expectWaiting(t, c.name, 0)
		}
	}
}

// TestDelAsksAPIServerIfHostHasInterface lets another implementation attach the pod between two DELs, with the current
// interface prefix or an earlier one.
func TestDelAsksAPIServerIfHostHasInterface(t *testing.T) {
	for name, prefix := range map[string]string{"the same prefix": "cali", "another prefix": "old"} {
		r := newRepeated(t, ways[0], "foreign-"+prefix)
		r.add()
		r.del("first DEL", true)
		r.del("repeated DEL", false)
		ifName := prefix + strings.TrimPrefix(hostIfName("default."+r.pod.Name), "cali")
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: ifName}, PeerName: "foreign-peer"}
		must(t, netlink.LinkAdd(link))
		r.del("DEL with an interface of "+name+" on the host", true)
		must(t, netlink.LinkDel(link))
	}
}

// TestDelAfterFailedDelAsksAPIServer lets the first DEL fail after part of its work.
func TestDelAfterFailedDelAsksAPIServer(t *testing.T) {
	for _, w := range ways {
		r := newRepeated(t, w, "refused-del")
		r.add()
		r.through.Arm(&proxy.Fault{Status: http.StatusForbidden, Always: true})
		if a := ask(t, r.plugin, "DEL", r.pod, r.changes); a.Exit == 0 {
			t.Errorf("rejected DEL: %+v", a)
		}
		r.through.Arm(&proxy.Fault{Lose: proxy.Before, Always: true})
		expectOK(t, "DEL in an outage", ask(t, r.plugin, "DEL", r.pod, r.changes))
		r.through.Arm(nil)
		r.through.Take()
		r.del("DEL after the outage", true)
		r.del("repeated DEL", false)
		expectWaiting(t, w.String(), 0)
	}
}

// TestCPUOfRepeatedDel logs the CPU time of a repeated DEL, beside that of one that asks the API server.
func TestCPUOfRepeatedDel(t *testing.T) {
	if os.Getenv("CNI_MEASURE") == "" {
		t.Log("not measured: CNI_MEASURE is not set")
		return
	}
	for _, w := range ways {
		r := newRepeated(t, w, "cpu")
		r.changes["kubernetes.kubeconfig"] = n.Kubeconfig()
		r.add()
		expectOK(t, "DEL", ask(t, r.plugin, "DEL", r.pod, r.changes))
		config, err := n.Config(r.changes)
		must(t, err)
		stdin, err := json.Marshal(config)
		must(t, err)
		run := func(command string) time.Duration {
			cmd := exec.Command(filepath.Join(n.BinDir(), r.plugin))
			cmd.Env = []string{
				"CNI_COMMAND=" + command, "CNI_CONTAINERID=" + r.pod.ContainerID, "CNI_NETNS=" + r.pod.NetNS,
				"CNI_IFNAME=eth0", "CNI_PATH=" + n.BinDir(),
				"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=" + r.pod.Name,
			}
			cmd.Stdin = strings.NewReader(string(stdin))
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err, string(out))
			}
			usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
			return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		}
		mean := func(command string, before func()) time.Duration {
			const times = 100
			var sum time.Duration
			for range times {
				before()
				sum += run(command)
			}
			return sum / times
		}
		start := mean("VERSION", func() {})
		repeated := mean("DEL", func() {})
		full := mean("DEL", func() { must(t, os.RemoveAll("/var/run/calico/cni/deleted")) })
		t.Logf("%s: a repeated DEL takes %v of CPU, one that asks the API server and finds nothing %v; VERSION "+
			"takes %v", w, repeated, full, start)
	}
}
