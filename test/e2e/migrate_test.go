// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/test/node"
	"calico-cni/test/proxy"
)

// networks is the directory of host-local's leases.
const networks = "/var/lib/cni/networks"

// before is a node before its migration, with a network that uses host-local.
type before struct {
	t             *testing.T
	network, node string
	ranges        []any
}

// pools are used only by these tests, so that no node of another test claims a block in one of the pod CIDRs.
var pools sync.Once

// newBefore creates such a node with two pod CIDRs and a separate network in host-local's directory.
func newBefore(t *testing.T, name string, cidrs ...string) *before {
	t.Helper()
	withTools(t, "host-local")
	pools.Do(func() {
		manual := func(spec map[string]any) { spec["assignmentMode"] = "Manual" }
		must(t, n.Datastore.CreatePool(t.Context(), "migration-ipv4", "10.249.0.0/16", 26, manual))
		must(t, n.Datastore.CreatePool(t.Context(), "migration-ipv6", "fd00:10:249::/64", 122, manual))
	})
	b := &before{t: t, network: name, node: name + "-node"}
	nodeWithCIDRs(t, b.node, cidrs...)
	for _, cidr := range cidrs {
		b.ranges = append(b.ranges, []any{object{"subnet": cidr}})
	}
	t.Cleanup(func() {
		files, err := filepath.Glob(filepath.Join(networks, name+"*"))
		must(t, err)
		for _, f := range files {
			must(t, os.RemoveAll(f))
		}
	})
	return b
}

// config returns the configuration of the network, with host-local or with block IPAM.
func (b *before) config(ipam object) object {
	return object{"name": b.network, "nodename": b.node, "nodename_file_optional": true, "ipam": ipam}
}

func (b *before) hostLocal() object {
	return b.config(object{"type": "host-local", "ranges": b.ranges})
}

func (b *before) blockIPAM() object {
	return b.config(object{
		"type": "calico-ipam", "assign_ipv4": "true", "assign_ipv6": "true",
		"ipv4_pools": []any{"migration-ipv4"}, "ipv6_pools": []any{"migration-ipv6"},
	})
}

// lease calls host-local to allocate or release the addresses of a container.
func (b *before) lease(verb, container string) []netip.Addr {
	b.t.Helper()
	a, err := n.Run(withoutCancel(b.t.Context()), b.hostLocalItself(verb, container))
	must(b.t, err)
	if a.Exit != 0 {
		b.t.Fatalf("%s of host-local: %+v", verb, a)
	}
	if verb != "ADD" {
		return nil
	}
	return addrs(b.t, resultOf(b.t, a))
}

func (b *before) hostLocalItself(verb, container string) node.Call {
	return node.Call{
		Plugin: "host-local", Command: verb, Env: map[string]string{"CNI_NETNS_OVERRIDE": "1"},
		Pod: &node.Pod{Name: "none", ContainerID: container, NetNS: "/proc/self/ns/net"},
		Config: object{
			"cniVersion": "1.0.0", "name": b.network, "type": "calico",
			"ipam": object{"type": "host-local", "ranges": b.ranges},
		},
	}
}

// upgrade returns the command of the init container.
func (b *before) upgrade(kubeconfig string) *exec.Cmd {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), filepath.Join(n.BinDir(), "calico-ipam"), "-upgrade", b.network)
	cmd.Env = []string{"KUBERNETES_NODE_NAME=" + b.node, "KUBECONFIG=" + kubeconfig}
	return cmd
}

func (b *before) migrate() {
	b.t.Helper()
	if out, err := b.upgrade(n.Kubeconfig()).CombinedOutput(); err != nil {
		b.t.Fatalf("upgrade: %v\n%s", err, out)
	}
}

// holds returns the part of the state about the network's containers: handles and allocations in blocks.
func (b *before) holds() string {
	b.t.Helper()
	var out []string
	for line := range strings.Lines(state(b.t)) {
		if strings.HasPrefix(line, "handle "+b.network+".") || strings.Contains(line, `"handle_id":"`+b.network+".") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// cached returns the library of a runtime, with its cache in the usual place.
func cached() *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir([]string{n.BinDir()}, "/var/lib/cni",
		&invoke.DefaultExec{RawExec: &invoke.RawExec{Stderr: io.Discard}})
}

func (b *before) list(config object) *libcni.NetworkConfigList {
	b.t.Helper()
	first, err := n.Config(config)
	must(b.t, err)
	first["name"] = b.network
	data := encode(b.t, object{"cniVersion": "1.1.0", "name": b.network, "plugins": []any{first}})
	l, err := libcni.NetworkConfFromBytes(data)
	must(b.t, err)
	return l
}

func (b *before) addPod(p *node.Pod, config object) []netip.Addr {
	b.t.Helper()
	r, err := cached().AddNetworkList(b.t.Context(), b.list(config), runtimeConf(p, nil))
	must(b.t, err)
	result, err := current.NewResultFromResult(r)
	must(b.t, err)
	return addrs(b.t, result)
}

func (b *before) delPod(p *node.Pod, config object) {
	b.t.Helper()
	if err := cached().DelNetworkList(withoutCancel(b.t.Context()), b.list(config), runtimeConf(p, nil)); err != nil {
		b.t.Error("DEL:", err)
	}
}

// TestMigrationKeepsAddressesOfRunningPods uses pods that run during a migration, one that ends before, and a leaked
// lease.
func TestMigrationKeepsAddressesOfRunningPods(t *testing.T) {
	b := newBefore(t, "mig", "10.249.200.0/24", "fd00:10:249::c8:0/112")
	var pods []*node.Pod
	for _, name := range []string{"one", "two", "three", "four"} {
		pods = append(pods, newPod(t, "mig-"+name))
	}
	start := state(t)
	held := map[*node.Pod][]netip.Addr{}
	for _, p := range pods[:3] {
		held[p] = b.addPod(p, b.hostLocal())
	}
	b.delPod(pods[2], b.hostLocal())
	running := onlyKernel(state(t))

	for range 2 {
		b.migrate()
		expectSame(t, "links and routes", running, onlyKernel(state(t)))
	}
	now := b.holds()
	for _, p := range pods[:2] {
		if strings.Count(now, handleOf(b.network, p)) != 1 ||
			strings.Count(now, fmt.Sprintf(`"namespace":"default","node":%q,"pod":%q`, b.node, p.Name)) != 2 {
			t.Errorf("two addresses of %s in blocks, and a handle, are missing in\n%s", p.Name, now)
		}
		ping(t, "host to pod", nil, held[p][0])
	}
	if strings.Contains(now, pods[2].ContainerID) {
		t.Errorf("an ended container has addresses:\n%s", now)
	}
	if mark := read(filepath.Join(networks, b.network)); !strings.Contains(mark,
		"moved from host-local to calico-ipam") {
		t.Errorf("mark: %q", mark)
	}
	if _, err := cached().AddNetworkList(t.Context(), b.list(b.hostLocal()), runtimeConf(pods[3], nil)); err == nil ||
		!strings.Contains(err.Error(), "set it to calico-ipam") {
		t.Errorf("ADD with host-local after the migration: %v", err)
	}
	if a, err := n.Run(t.Context(), b.hostLocalItself("ADD", "late")); err == nil && a.Exit == 0 {
		t.Errorf("host-local allocates addresses after the migration: %+v", a)
	}
	for _, got := range b.addPod(pods[3], b.blockIPAM()) {
		inOwn := slices.ContainsFunc(b.ranges, func(r any) bool {
			return netip.MustParsePrefix(r.([]any)[0].(object)["subnet"].(string)).Contains(got)
		})
		if !inOwn || slices.Contains(held[pods[0]], got) || slices.Contains(held[pods[1]], got) {
			t.Errorf("a new pod gets %s, which is not in the node's pod CIDRs or is in use", got)
		}
	}
	b.delPod(pods[0], b.blockIPAM())
	// The runtime uses the configuration of the ADD.
	b.delPod(pods[1], b.hostLocal())
	leases, err := filepath.Glob(filepath.Join(networks, b.network+".migrated", "*"))
	must(t, err)
	for _, file := range leases {
		must(t, os.Chtimes(file, time.Time{}, time.Now().Add(-time.Hour)))
	}
	b.migrate()
	b.delPod(pods[3], b.blockIPAM())
	expectSame(t, "all of it", withoutAnnotations(start), withoutAnnotations(state(t)))
	if left, _ := filepath.Glob(filepath.Join(networks, b.network+"*")); len(left) != 1 {
		t.Errorf("left in host-local's directory: %v", left)
	}
}

// onlyKernel returns the part of the state that pods depend on.
func onlyKernel(state string) string {
	return pick(state, func(line string) bool {
		return strings.HasPrefix(line, "link ") || strings.HasPrefix(line, "route ")
	})
}

// withoutAnnotations removes the annotations, because a DEL keeps the container ID in them.
func withoutAnnotations(state string) string {
	return pick(state, func(line string) bool { return !strings.HasPrefix(line, "pod ") })
}

func pick(state string, which func(line string) bool) string {
	var out []string
	for line := range strings.SplitSeq(state, "\n") {
		if which(line) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// TestMigrationKilledAtAnyRequestIsCompletedByNext kills a migration before and after each of its requests. Then a
// container ends, and the next run must reach the same result as without the kill.
func TestMigrationKilledAtAnyRequestIsCompletedByNext(t *testing.T) {
	through := proxy.Start(t, n.Kubeconfig())
	kubeconfig := ""
	for i, done := 0, false; !done; i++ {
		for _, moment := range []proxy.When{proxy.Before, proxy.After} {
			// A separate CIDR for each case, with one block per family.
			k := 2*i + int(moment) - 1
			b := newBefore(t, fmt.Sprintf("kill-%d", k), fmt.Sprintf("10.249.%d.%d/26", 210+k/4, k%4*64),
				fmt.Sprintf("fd00:10:249::%x:0/122", 0x1000+k))
			if kubeconfig == "" {
				kubeconfig = through.Kubeconfig(t, n.Kubeconfig())
			}
			stays, goes := b.lease("ADD", "stays"), b.lease("ADD", "goes")
			cmd := b.upgrade(kubeconfig)
			n := 0
			through.Arm(&proxy.Fault{
				Lose: moment, Do: func() { _ = cmd.Process.Kill() },
				Matches: func(string, string) bool { n++; return n == i+1 },
			})
			out, err := cmd.CombinedOutput()
			if done = !through.Fired(); done {
				through.Arm(nil)
				if err != nil || i < 15 {
					t.Errorf("not disturbed after %d requests: %v\n%s", i, err, out)
				}
			} else if cmd.ProcessState.Exited() {
				t.Errorf("request %d: was not killed: %v\n%s", i, err, out)
			}
			b.endAndMigrate(done, stays, goes)
		}
	}
}

// endAndMigrate ends one of two containers, runs the migration again, and expects the other to keep its addresses.
func (b *before) endAndMigrate(fenced bool, stays, goes []netip.Addr) {
	t := b.t
	t.Helper()
	if fenced {
		// Host-local no longer has its lease.
		expectOK(t, "DEL", b.blockDel("goes"))
	} else {
		b.lease("DEL", "goes")
	}
	b.migrate()
	now := b.holds()
	if strings.Count(now, b.network+".stays\"") != 2 || strings.Contains(now, "goes") {
		t.Errorf("%s: of %v and %v (deleted) are allocated:\n%s", b.network, stays, goes, now)
	}
	expectOK(t, "DEL", b.blockDel("stays"))
	if now := b.holds(); now != "" {
		t.Errorf("%s: still allocated after the DEL:\n%s", b.network, now)
	}
}

func (b *before) blockDel(container string) node.Answer {
	b.t.Helper()
	return ask(b.t, "calico-ipam", "DEL", &node.Pod{Name: "none", ContainerID: container, NetNS: "/proc/self/ns/net"},
		b.blockIPAM(), "CNI_ARGS", "-")
}

func TestConcurrentMigrationsUseOwnPodCIDRs(t *testing.T) {
	var nodes []*before
	var starts sync.WaitGroup
	for i := range 3 {
		b := newBefore(t, fmt.Sprintf("at-once-%d", i), fmt.Sprintf("10.249.%d.0/24", 190+i))
		b.lease("ADD", "a")
		b.lease("ADD", "b")
		nodes = append(nodes, b)
	}
	for _, b := range nodes {
		cmd := b.upgrade(n.Kubeconfig())
		starts.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	starts.Wait()
	rows, err := n.Datastore.List(t.Context(), "blockaffinities")
	must(t, err)
	for i, b := range nodes {
		blocks := 0
		for _, row := range rows {
			if row["node"] == b.node {
				blocks++
				if cidr := row["cidr"].(string); !strings.HasPrefix(cidr, fmt.Sprintf("10.249.%d.", 190+i)) {
					t.Errorf("%s claims %s", b.node, cidr)
				}
			}
		}
		if blocks != 4 || strings.Count(b.holds(), "handle_id") != 2 {
			t.Errorf("%s has %d blocks, want the 4 of its pod CIDR, and holds\n%s", b.node, blocks, b.holds())
		}
		for _, id := range []string{"a", "b"} {
			expectOK(t, "DEL", b.blockDel(id))
		}
	}
}

func TestFailedMigrationKeepsHostLocal(t *testing.T) {
	b := newBefore(t, "outside", "10.249.195.0/26")
	b.lease("ADD", "inside")
	b.ranges = []any{[]any{object{"subnet": "10.99.0.0/24"}}}
	outside := b.lease("ADD", "outside")[0]
	for range 2 {
		out, err := b.upgrade(n.Kubeconfig()).CombinedOutput()
		if err == nil || !strings.Contains(string(out), outside.String()+" lies in no pool") ||
			!strings.Contains(string(out), "1 of 2") {
			t.Errorf("%v\n%s", err, out)
		}
		if held := b.holds(); strings.Count(held, "handle_id") != 1 || !strings.Contains(held, "outside.inside") {
			t.Errorf("held:\n%s", held)
		}
	}
	// Host-local still works.
	b.lease("DEL", "outside")
	b.migrate()
	expectOK(t, "DEL", b.blockDel("inside"))

	small := newBefore(t, "small", "10.249.196.0/27")
	small.lease("ADD", "c")
	if out, err := small.upgrade(n.Kubeconfig()).CombinedOutput(); err == nil ||
		!strings.Contains(string(out), "two nodes would share a block") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestMigrationWithoutLeasesMakesNoRequest(t *testing.T) {
	installed(t)
	dead := kubeconfig(t, "https://127.0.0.1:1")
	b := &before{t: t, network: "never", node: "never-node"}
	for what, c := range map[string]struct {
		cmd  *exec.Cmd
		exit int
		says string
	}{
		"no leases": {b.upgrade(dead), 0, "nothing to migrate"},
		"no node": {
			&exec.Cmd{
				Path: filepath.Join(n.BinDir(), "calico-ipam"),
				Args: []string{"calico-ipam", "-upgrade"}, Env: []string{"KUBECONFIG=" + dead},
			}, 2,
			"KUBERNETES_NODE_NAME is empty",
		},
		"usage": {exec.Command(filepath.Join(n.BinDir(), "calico-ipam"), "-x"), 2, "usage: calico-ipam"},
	} {
		var out bytes.Buffer
		c.cmd.Stdout, c.cmd.Stderr = &out, &out
		_ = c.cmd.Run()
		if got := c.cmd.ProcessState.ExitCode(); got != c.exit || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: exit code %d\n%s", what, got, &out)
		}
	}
}
