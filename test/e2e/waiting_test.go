// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calico-cni/test/node"
)

// waitingDir is the release queue.
const waitingDir = "/var/lib/calico/cni/pending"

// delayHasPassed makes the node settle queued releases with the API server of a configuration at once, as if it had
// reached the server some time ago. changes are those of the configuration.
func delayHasPassed(t *testing.T, changes map[string]any) {
	t.Helper()
	config, err := n.Config(changes)
	must(t, err)
	kubeconfig, ok := config["kubernetes"].(map[string]any)["kubeconfig"].(string)
	if !ok {
		t.Fatal("the configuration names no kubeconfig")
	}
	const dir = "/var/run/calico/cni/settling"
	must(t, os.MkdirAll(dir, 0o755))
	name := sha1.Sum(fmt.Appendf(nil, "%q %q", kubeconfig, ""))
	schedule := []byte(`{"version":1,"notBefore":0,"next":0}`)
	must(t, os.WriteFile(filepath.Join(dir, hex.EncodeToString(name[:])), schedule, 0o600))
}

// waiting returns the names of the queued releases.
func waiting(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(waitingDir, "*.json"))
	must(t, err)
	return files
}

// dropQueued removes the queued releases of a container at the end of its test. A release that names the kubeconfig of
// a test stays queued after it, because that file is gone and no handle proves to which cluster it led.
func dropQueued(t *testing.T, containerID string) {
	t.Helper()
	for _, path := range waiting(t) {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		must(t, err)
		if strings.Contains(string(data), `"containerID":"`+containerID+`"`) {
			must(t, os.Remove(path))
		}
	}
}

// expectWaiting expects a number of queued releases.
func expectWaiting(t *testing.T, what string, want int) {
	t.Helper()
	if got := waiting(t); len(got) != want {
		t.Errorf("%s: %d releases are queued, want %d: %v", what, len(got), want, got)
	}
}

// TestDelDuringOutageIsSettledLater tests each kind of outage and, after the first kind, each verb as the first to
// reach the server again.
func TestDelDuringOutageIsSettledLater(t *testing.T) {
	for _, plugin := range both {
		for i, o := range outages(t) {
			if plugin != both[0] && i > 0 {
				break
			}
			verbs := []string{"STATUS"}
			if i == 0 {
				verbs = []string{"ADD", "DEL", "GC", "STATUS"}
			}
			for _, verb := range verbs {
				t.Run(plugin+" "+o.name+" "+verb, func(t *testing.T) {
					name := fmt.Sprintf("waits-%s-%d-%s", plugin, i, strings.ToLower(verb))
					p, next := newPod(t, name), newPod(t, name+"-next")
					before := state(t)
					named := map[string]any{"name": name, "kubernetes.kubeconfig": o.begin(t)}
					o.end(t)
					attach(t, plugin, p, named)
					o.begin(t)
					for range 2 {
						expectOK(t, "DEL", ask(t, plugin, "DEL", p, named))
						expectWaiting(t, "after the DEL", 1)
					}
					if hasLink(hostIfName("default." + p.Name)) {
						t.Error("the interface still exists")
					}
					if s := state(t); !strings.Contains(s, handleOf(name, p)) {
						t.Errorf("the address is no longer allocated:\n%s", s)
					}
					o.end(t)
					delayHasPassed(t, named)
					changes := named
					if verb == "GC" {
						changes = valid(named)
					}
					if a := ask(t, plugin, verb, next, changes); a.Exit != 0 {
						t.Errorf("%s: %+v", verb, a)
					}
					if verb == "ADD" {
						// An ADD settles only its own release.
						expectWaiting(t, "after the ADD", 1)
					} else {
						expectWaiting(t, "after the "+verb, 0)
					}
					expectOK(t, "DEL", ask(t, plugin, "DEL", next, named))
					expectWaiting(t, "in the end", 0)
					look := func(s string) string { return withoutPod(p.Name)(withoutPod(next.Name)(s)) }
					expectSame(t, "all of it", look(before), look(state(t)))
					if plugin == "calico" {
						expectPodIP(t, p, "")
					}
				})
			}
		}
	}
}

// TestAddDuringQueuedReleaseKeepsItsAddresses covers the risk of a queue: a release that runs after the ADD of the same
// container.
func TestAddDuringQueuedReleaseKeepsItsAddresses(t *testing.T) {
	for _, plugin := range both {
		for i, o := range outages(t) {
			if plugin != both[0] && i > 0 {
				break
			}
			t.Run(plugin+" "+o.name, func(t *testing.T) {
				name := fmt.Sprintf("comes-back-%s-%d", plugin, i)
				p := newPod(t, name)
				named := map[string]any{"name": name, "kubernetes.kubeconfig": o.begin(t)}
				o.end(t)
				first := attach(t, plugin, p, named)
				o.begin(t)
				expectOK(t, "DEL", ask(t, plugin, "DEL", p, named))
				expectWaiting(t, "after the DEL", 1)
				if a := ask(t, plugin, "ADD", p, named); a.Error.Code != 11 {
					t.Errorf("ADD during the outage: %+v", a)
				}
				expectWaiting(t, "after a failed ADD", 1)
				o.end(t)
				second := attach(t, plugin, p, named)
				expectWaiting(t, "after the ADD", 0)
				for _, addr := range addrs(t, resultOf(t, first)) {
					if s := state(t); strings.Contains(second.Stdout, `"`+addr.String()+`/`) {
						t.Errorf("the second ADD got %s again, which the first had:\n%s", addr, s)
					}
				}
				expectOK(t, "STATUS", ask(t, plugin, "STATUS", nil, named))
				expectOK(t, "GC", ask(t, plugin, "GC", nil, valid(named, p.ContainerID, "eth0")))
				expectOK(t, "CHECK", check(t, plugin, p, named, second))
				if plugin == "calico" {
					expectPodIP(t, p, addrs(t, resultOf(t, second))[0].String()+"/32")
				}
			})
		}
	}
}

// TestFullQueueIsCode11 fills the queue with releases of another cluster.
func TestFullQueueIsCode11(t *testing.T) {
	const limit = 4096
	elsewhere := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, os.WriteFile(elsewhere, nil, 0o600))
	o := outages(t)[0]
	for _, plugin := range both {
		p := newPod(t, "full-"+plugin)
		named := map[string]any{"name": "full-" + plugin, "kubernetes.kubeconfig": o.begin(t)}
		o.end(t)
		attach(t, plugin, p, named)
		must(t, os.MkdirAll(waitingDir, 0o700))
		for i := range limit {
			data := fmt.Sprintf(
				`{"version":1,"network":"elsewhere","containerID":"c%d","ifName":"eth0","kubeconfig":%q,"queued":"2026-01-01T00:00:00Z"}`,
				i,
				elsewhere,
			)
			must(t, os.WriteFile(filepath.Join(waitingDir, fmt.Sprintf("elsewhere@c%d@eth0.json", i)), []byte(data),
				0o600))
		}
		o.begin(t)
		expectError(t, plugin+" DEL", ask(t, plugin, "DEL", p, named), 11, "4096", waitingDir, "API server unavailable")
		expectWaiting(t, "in the full queue", limit)
		if hasLink(hostIfName("default." + p.Name)) {
			t.Error("the interface still exists")
		}
		o.end(t)
		for _, file := range waiting(t)[:limit-1] {
			must(t, os.Remove(file))
		}
		o.begin(t)
		expectOK(t, plugin+" DEL with room", ask(t, plugin, "DEL", p, named))
		o.end(t)
		delayHasPassed(t, named)
		expectOK(t, plugin+" STATUS", ask(t, plugin, "STATUS", nil, named))
		expectWaiting(t, "of another cluster", 1)
		for _, file := range waiting(t) {
			must(t, os.Remove(file))
		}
	}
}

// TestQueuedReleaseIsOneFileWithoutSecrets checks the permissions and the content of the file.
func TestQueuedReleaseIsOneFileWithoutSecrets(t *testing.T) {
	p := newPod(t, "waits-file")
	path := kubeconfig(t, n.Server.URL())
	expectOK(t, "DEL", del(t, p, map[string]any{"kubernetes.kubeconfig": path, "policy.k8s_auth_token": secret}))
	files := waiting(t)
	if len(files) != 1 || filepath.Base(files[0]) != node.Network+"@"+p.ContainerID+"@eth0.json" {
		t.Fatalf("files %v", files)
	}
	if text := read(files[0]); strings.Contains(text, secret) || !strings.Contains(text, p.Name) {
		t.Errorf("file %s", text)
	}
	must(t, os.Remove(files[0]))
}
