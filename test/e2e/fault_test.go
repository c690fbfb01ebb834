// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"calico-cni/internal/bootclock"
	"calico-cni/test/node"
	"calico-cni/test/proxy"
)

// faults are the faults of a request. kill ends the plugin.
func faults(kill func()) []proxy.Fault {
	all := []proxy.Fault{
		{Name: "lost before the server", Lose: proxy.Before},
		{Name: "lost after it was done", Lose: proxy.After},
		{Name: "conflict", Status: http.StatusConflict},
		{Name: "too many requests", Status: http.StatusTooManyRequests, RetryAfter: 1},
		{Name: "server error", Status: http.StatusInternalServerError},
		{
			Name: "done, then 503 with Retry-After", Lose: proxy.After, Status: http.StatusServiceUnavailable,
			RetryAfter: 1,
		},
		{Name: "done, then the connection died silently", Lose: proxy.After, Silent: true},
		{Name: "404 of a load balancer", Status: http.StatusNotFound, Page: true},
		{Name: "404 of a load balancer each time", Status: http.StatusNotFound, Page: true, Always: true},
		{Name: "login page", Status: http.StatusOK, Page: true},
		{Name: "redirect to a login page", Status: http.StatusFound, Page: true, Location: "https://login.test/"},
		{Name: "killed before the server", Lose: proxy.Before, Do: kill},
		{Name: "killed after it was done", Lose: proxy.After, Do: kill},
	}
	if *soak {
		// The plugin times a request out after half of that.
		all = append(all, proxy.Fault{Name: "stalled", Stall: 30 * time.Second},
			proxy.Fault{Name: "the connection died silently", Lose: proxy.Before, Silent: true})
	}
	return all
}

var soak = flag.Bool("soak", false, "try what takes long, too")

// invocation is a command whose requests are disturbed, one at a time.
type invocation struct {
	name, verb string
	// fresh runs it on a node without blocks, a new one each time.
	fresh bool
	// cache prepares the block cache of the node: empty or outdated. Nil keeps it.
	cache func(*testing.T)
}

// TestDelCleansUpAfterAnyRequestFault lets each fault happen to each request of an ADD, as recorded from a first ADD.
// It does the same with an ADD that claims its blocks, and with a DEL. harm checks the outcome of the disturbed command.
// A DEL without fault must then restore the node and the cluster. New requests are covered automatically.
func TestDelCleansUpAfterAnyRequestFault(t *testing.T) {
	installed(t)
	through := proxy.Start(t, n.Kubeconfig())
	// This fills the block cache for this server.
	unharmed := map[string]any{"kubernetes.kubeconfig": through.Kubeconfig(t, n.Kubeconfig())}
	add(t, newPod(t, "fault-warm"), unharmed)
	nodes, cases := 0, 0
	changes := func(i invocation) map[string]any {
		c := map[string]any{"kubernetes.kubeconfig": through.Kubeconfig(t, n.Kubeconfig())}
		if i.fresh {
			nodes++
			c["nodename"], c["nodename_file_optional"] = fmt.Sprint("fresh-", nodes), true
		}
		return c
	}
	for _, i := range []invocation{
		{"ADD", "ADD", false, nil},
		{"claiming ADD", "ADD", true, nil},
		{"ADD without cached block", "ADD", false, removeCachedBlocks},
		{"DEL", "DEL", false, nil},
		{"DEL with a stale block cache", "DEL", false, outdateBlocks(t)},
	} {
		// The affinities of the cached blocks count as verified during the recorded command.
		warm := newPod(t, "fault-warm-"+strings.ReplaceAll(strings.ToLower(i.name), " ", "-"))
		add(t, warm, unharmed)
		dry := newPod(t, "fault-dry-"+strings.ReplaceAll(strings.ToLower(i.name), " ", "-"))
		through.Take()
		if i.verb == "ADD" {
			i.prepare(t)
		}
		add(t, dry, changes(i))
		if i.verb == "DEL" {
			i.prepare(t)
			through.Take()
			if a := del(t, dry, changes(i)); a.Exit != 0 {
				t.Fatal(a)
			}
		}
		requests := keys(through, dry)
		if len(requests) < 6 {
			t.Fatalf("%s makes only these requests: %v", i.name, requests)
		}
		for _, request := range requests {
			for f, fault := range faults(nil) {
				if cases++; !part.has(cases) {
					continue
				}
				t.Run(i.name+" "+request+" "+fault.Name, func(t *testing.T) {
					p := newPodWithoutNetwork(t, "faulty")
					unchangedBut(t, i.name+" and DEL", withoutPod(p.Name), func() {
						if i.verb == "DEL" {
							add(t, p, unharmed)
						}
						i.prepare(t)
						config := changes(i)
						harm(t, through, i.verb, p, config, request, f)
						if a := del(t, p, config); a.Exit != 0 {
							t.Errorf("DEL after the fault: %+v", a)
						}
						expectWaiting(t, "after the fault", 0)
					})
					must(t, n.RemovePod(t.Context(), p))
				})
			}
		}
	}
}

func (i invocation) prepare(t *testing.T) {
	t.Helper()
	if i.cache != nil {
		i.cache(t)
	}
}

// cachedBlocks returns the files of the block cache.
func cachedBlocks(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("/var/run/calico/cni/blocks/*.block")
	must(t, err)
	return files
}

func removeCachedBlocks(t *testing.T) {
	t.Helper()
	for _, file := range cachedBlocks(t) {
		must(t, os.Remove(file))
	}
}

// outdateBlocks returns a function that restores the current block cache with the time of a fresh write.
func outdateBlocks(t *testing.T) func(*testing.T) {
	t.Helper()
	old := map[string][]byte{}
	for _, file := range cachedBlocks(t) {
		data, err := os.ReadFile(file)
		must(t, err)
		old[file] = data
	}
	if len(old) == 0 {
		t.Fatal("the block cache is empty")
	}
	return func(t *testing.T) {
		t.Helper()
		for file, data := range old {
			_, encoded, _ := bytes.Cut(data, []byte("\n"))
			must(t, os.WriteFile(file, fmt.Appendf(nil, "1 %d\n%s", int64(bootclock.Now()), encoded), 0o600))
		}
	}
}

// keys returns the distinct requests of an invocation, without the names that are specific to the pod.
func keys(through *proxy.Proxy, p *node.Pod) []string {
	requests, _ := through.Take()
	var out []string
	for _, r := range requests {
		if k := key(p, r.Method, r.Path); !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// key identifies a request by its purpose, because pods, nodes and blocks differ between runs.
func key(p *node.Pod, method, path string) string {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "/apis/"+n.Datastore.Group+"/"), "/api/v1/")
	path = strings.NewReplacer(p.ContainerID, "CONTAINER", p.Name, "POD").Replace(path)
	for _, kind := range []string{"ipamblocks", "blockaffinities"} {
		if name, named := strings.CutPrefix(path, kind+"/"); named {
			family := "IPV4"
			if strings.Contains(name, "fd00-") {
				family = "IPV6"
			}
			path = kind + "/" + family
		}
	}
	return method + " " + path
}
