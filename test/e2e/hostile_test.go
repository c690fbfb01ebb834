// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"calico-cni/test/node"
)

// withoutPod removes the annotations of a pod from a state.
func withoutPod(name string) func(string) string {
	return func(state string) string {
		var lines []string
		for _, line := range strings.Split(state, "\n") {
			if !strings.HasPrefix(line, "pod "+name+" ") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "\n")
	}
}

func TestStaticPodIsIdentifiedByHash(t *testing.T) {
	const hash = "0123456789abcdef0123456789abcdef"
	p := newPod(t, "static", func(p *corev1.Pod) {
		p.Annotations = map[string]string{"kubernetes.io/config.hash": hash}
	})
	static := *p
	static.UID = hash
	add(t, &static, nil)
	if a := del(t, &static, nil); a.Exit != 0 {
		t.Fatalf("DEL: %+v", a)
	}
	annotations, err := n.Annotations(t.Context(), p)
	must(t, err)
	if annotations["cni.projectcalico.org/podIP"] != "" {
		t.Errorf("annotations %v", annotations)
	}
}

func TestA11_RepeatedAddByExecKeepsLivePod(t *testing.T) {
	for name, changes := range map[string]map[string]any{"in process": nil, "by exec": {"ipam.exec": true}} {
		p := newPod(t, "again-"+strings.ReplaceAll(name, " ", "-"))
		got := addrs(t, add(t, p, changes))
		unchanged(t, "second ADD "+name, func() {
			if a := call(t, "ADD", p, changes); a.Exit != 1 || a.Error.Code != 4 {
				t.Errorf("second ADD %s: %+v", name, a)
			}
		})
		ping(t, "host to the pod after another ADD "+name, nil, got[0])
	}
}

func TestC16_DelAcceptsInvalidConfiguration(t *testing.T) {
	for i, broken := range []map[string]any{
		{"mtu": "large"},
		{"mtu": 5},
		{"device_type": "x"},
		{"log_level": "loud"},
		{"datastore_type": "etcdv3"},
		{"readiness_gates": 7},
		{"ipam": nil},
		{"calico_api_group": "projectcalico.org/v4"},
	} {
		t.Run(fmt.Sprint(broken), func(t *testing.T) {
			p := newPod(t, fmt.Sprint("changed-", i))
			unchangedBut(t, "ADD and DEL", withoutPod(p.Name), func() {
				add(t, p, nil)
				if a := del(t, p, broken); a.Exit != 0 {
					t.Errorf("DEL: %+v", a)
				}
			})
		})
	}
	for i, env := range [][]string{
		{"FELIX_INTERFACEPREFIX", "toolongprefix"},
		{"CNI_NETNS", "-"},
		{"CNI_NETNS", "/proc/self/ns/net"},
	} {
		t.Run(strings.Join(env, "="), func(t *testing.T) {
			p := newPod(t, fmt.Sprint("changed-env-", i))
			unchangedBut(t, "ADD and DEL", withoutPod(p.Name), func() {
				add(t, p, nil)
				if a := call(t, "DEL", p, nil, env...); a.Exit != 0 {
					t.Errorf("DEL: %+v", a)
				}
			})
		})
	}
}

func TestLegacyHandleDoesNotReleaseAddressOfOtherPod(t *testing.T) {
	inDefault := map[string]any{"name": "default"}
	owner := newPod(t, "legacy-owner")
	owner.ContainerID = "legacy-other"
	got := addrs(t, add(t, owner, inDefault))
	other := newPodWithoutNetwork(t, "legacy-other")
	if a := del(t, other, inDefault); a.Exit != 0 {
		t.Fatalf("DEL: %+v", a)
	}
	if s := state(t); !strings.Contains(s, "handle default.legacy-other") || !strings.Contains(s, "legacy-owner") {
		t.Errorf("the owner's address %s was released:\n%s", got[0], s)
	}
	if a := del(t, owner, inDefault); a.Exit != 0 {
		t.Fatalf("DEL: %+v", a)
	}
	must(t, n.RemovePod(t.Context(), other))
}

func TestPodDoesNotReleaseAddressOfContainerOutsideKubernetes(t *testing.T) {
	inDefault := map[string]any{"name": "default"}
	owner := newPodWithoutNetwork(t, "outside-owner")
	owner.ContainerID = "outside-other"
	if a := call(t, "ADD", owner, inDefault, "CNI_ARGS", "-"); a.Exit != 0 {
		t.Fatalf("ADD: %+v", a)
	}
	other := newPodWithoutNetwork(t, "outside-other")
	if a := del(t, other, nil); a.Exit != 0 {
		t.Fatalf("DEL: %+v", a)
	}
	if s := state(t); !strings.Contains(s, "handle default.outside-other") {
		t.Errorf("the container's address was released:\n%s", s)
	}
	if a := call(t, "DEL", owner, inDefault, "CNI_ARGS", "-"); a.Exit != 0 {
		t.Fatalf("DEL: %+v", a)
	}
	must(t, n.RemovePod(t.Context(), other))
	must(t, n.RemovePod(t.Context(), owner))
}

func TestA1_InvalidRequestIsRejectedBeforeFirstWrite(t *testing.T) {
	p := newPod(t, "refused")
	for _, r := range []refusal{
		{name: "template of a name", env: []string{"CNI_IFNAME", "a%d"}, code: 4, says: []string{"CNI_IFNAME"}},
		{name: "loopback", env: []string{"CNI_IFNAME", "lo"}, code: 4, says: []string{"CNI_IFNAME"}},
		{
			name: "MTU too small for IPv6", changes: map[string]any{"mtu": 1000}, code: 7,
			says: []string{"MTU 1000", "1280"},
		},
		{
			name: "container ID that no object can have", env: []string{"CNI_CONTAINERID", "a_b"}, code: 4,
			says: []string{"a_b"},
		},
		{
			name: "node that no object can have", changes: map[string]any{"nodename": "a/b"}, code: 7,
			says: []string{"nodename", "a/b"},
		},
		{
			name: "node with a line break", changes: map[string]any{"nodename": "a\nb"}, code: 7,
			says: []string{"nodename", `"a\nb"`},
		},
		{
			name: "network that no object can have", changes: map[string]any{"name": "my_net"}, code: 7,
			says: []string{"my_net"},
		},
	} {
		t.Run(r.name, func(t *testing.T) { expectRefusal(t, p, r) })
	}
}

func TestA4_PreviousResultAndRuntimeMACAreUsed(t *testing.T) {
	const mac = "0a:11:22:33:44:55"
	p := newPod(t, "chained")
	r := add(t, p, map[string]any{
		"runtimeConfig": map[string]any{"mac": mac},
		"prevResult": map[string]any{
			"cniVersion": "1.1.0", "interfaces": []any{map[string]any{"name": "dummy0"}},
			"ips": []any{map[string]any{"address": "192.0.2.77/24", "interface": 0}},
		},
	})
	if len(r.Interfaces) != 3 || r.Interfaces[0].Name != "dummy0" || r.Interfaces[2].Mac != mac {
		data, _ := json.Marshal(r)
		t.Fatalf("result: %s", data)
	}
	for i, want := range []int{0, 2, 2} {
		if got := *r.IPs[i].Interface; got != want {
			t.Errorf("address %d is on interface %d, want %d", i, got, want)
		}
	}
}

// TestC14_ConcurrentAddAndDel attaches and detaches pods concurrently: addresses are distinct, no call fails, and
// nothing is left behind.
func TestC14_ConcurrentAddAndDel(t *testing.T) {
	const pods = 20
	var all [pods]*node.Pod
	for i := range all {
		all[i] = newPodWithoutNetwork(t, fmt.Sprint("many-", i))
	}
	before := state(t)
	var mu sync.Mutex
	seen := map[string]string{}
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Go(func() {
			a := call(t, "ADD", p, nil)
			mu.Lock()
			defer mu.Unlock()
			var result struct{ IPs []struct{ Address string } }
			if a.Exit != 0 || json.Unmarshal([]byte(a.Stdout), &result) != nil {
				t.Errorf("ADD %s: %+v", p.Name, a)
				return
			}
			for _, ip := range result.IPs {
				if other := seen[ip.Address]; other != "" {
					t.Errorf("%s was allocated to %s and %s", ip.Address, other, p.Name)
				}
				seen[ip.Address] = p.Name
			}
		})
	}
	wg.Wait()
	if len(seen) != 2*pods {
		t.Errorf("%d addresses for %d pods", len(seen), pods)
	}
	for _, p := range all {
		wg.Go(func() {
			if a := del(t, p, nil); a.Exit != 0 {
				t.Errorf("DEL %s: %+v", p.Name, a)
			}
		})
	}
	wg.Wait()
	quiet := func(s string) string {
		for i := range all {
			s = withoutPod(fmt.Sprint("many-", i))(s)
		}
		return s
	}
	if got := quiet(state(t)); got != quiet(before) {
		t.Errorf("left behind:\n%s\nbefore:\n%s", got, before)
	}
	for _, p := range all {
		must(t, n.RemovePod(t.Context(), p))
	}
}

// TestDelCleansUpAfterKillAtAnyTime kills ADD after one millisecond, two, and so on until it succeeds. DEL, with and
// without the namespace, must then remove everything.
func TestDelCleansUpAfterKillAtAnyTime(t *testing.T) {
	warm := newPod(t, "killed-warm")
	add(t, warm, nil)
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		for delay := time.Millisecond; ; delay += 2 * time.Millisecond {
			p := newPodWithoutNetwork(t, fmt.Sprintf("killed-%d-%d", signal, delay.Milliseconds()))
			through := false
			unchangedBut(t, fmt.Sprintf("ADD with %v after %v, and DEL", signal, delay), withoutPod(p.Name), func() {
				through = addAndSignal(t, p, signal, delay)
				changes := []string{}
				if delay%(4*time.Millisecond) == time.Millisecond {
					changes = []string{"CNI_NETNS", "-"}
				}
				if a := call(t, "DEL", p, nil, changes...); a.Exit != 0 {
					t.Errorf("DEL after %v at %v: %+v", signal, delay, a)
				}
			})
			must(t, n.RemovePod(t.Context(), p))
			if through || t.Failed() {
				break
			}
			if delay > time.Second {
				t.Fatal("ADD takes more than a second")
			}
		}
	}
}

// addAndSignal starts an ADD, sends a signal after a delay, and reports whether the ADD had already ended.
func addAndSignal(t *testing.T, p *node.Pod, signal syscall.Signal, delay time.Duration) bool {
	t.Helper()
	config, err := n.Config(nil)
	must(t, err)
	stdin, err := json.Marshal(config)
	must(t, err)
	cmd := exec.Command(filepath.Join(n.BinDir(), "calico"))
	cmd.Stdin = strings.NewReader(string(stdin))
	cmd.Env = []string{
		"CNI_COMMAND=ADD", "CNI_CONTAINERID=" + p.ContainerID, "CNI_NETNS=" + p.NetNS, "CNI_IFNAME=eth0", "CNI_PATH=" +
			n.BinDir(), "CNI_ARGS=" + p.Args(),
	}
	must(t, cmd.Start())
	time.Sleep(delay)
	_ = cmd.Process.Signal(signal)
	return cmd.Wait() == nil
}
