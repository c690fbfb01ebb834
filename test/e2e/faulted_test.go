// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"

	"calico-cni/pkg/cnierr"
	"calico-cni/test/node"
	"calico-cni/test/proxy"
)

// harm runs the plugin, lets a fault happen to one of its requests, and checks the outcome.
func harm(t *testing.T, through *proxy.Proxy, verb string, p *node.Pod, changes map[string]any, request string, i int) {
	t.Helper()
	config, err := n.Config(changes)
	must(t, err)
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(filepath.Join(n.BinDir(), "calico"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(encode(t, config)), &stdout, &stderr
	cmd.Env = []string{
		"CNI_COMMAND=" + verb, "CNI_CONTAINERID=" + p.ContainerID, "CNI_NETNS=" + p.NetNS, "CNI_IFNAME=eth0",
		"CNI_PATH=" + n.BinDir(), "CNI_ARGS=" + p.Args(),
	}
	fault := faults(func() { _ = cmd.Process.Kill() })[i]
	fault.Matches = func(method, path string) bool { return key(p, method, path) == request }
	before := allocations(t)
	through.Arm(&fault)
	_ = cmd.Run()
	if !through.Fired() {
		t.Errorf("no request matched %q", request)
		through.Arm(nil)
	}
	a := node.Answer{Exit: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
	expectOthersKept(t, p, before)
	switch killed := fault.Do != nil; {
	case killed && a.Exit != -1:
		t.Errorf("exit %d of a killed command: %s", a.Exit, a.Stdout)
	case killed:
		expectOnePerFamily(t, heldBy(t, p))
	case a.Exit != 0:
		expectDocumentedError(t, a)
		expectOnePerFamily(t, heldBy(t, p))
	case verb == "ADD":
		expectAttached(t, p, resultOf(t, a))
	default:
		expectReleasedOrQueued(t, p)
	}
}

// allocations returns the handle of each allocated address.
func allocations(t *testing.T) map[netip.Addr]string {
	t.Helper()
	blocks, err := n.Datastore.List(withoutCancel(t.Context()), "ipamblocks")
	must(t, err)
	out := map[netip.Addr]string{}
	for name, spec := range blocks {
		var b struct {
			CIDR        netip.Prefix
			Allocations []*int
			Attributes  []struct {
				Handle string `json:"handle_id"`
			}
		}
		if err := json.Unmarshal(encode(t, spec), &b); err != nil {
			t.Fatalf("block %s: %v", name, err)
		}
		addr := b.CIDR.Addr()
		for _, attribute := range b.Allocations {
			if attribute != nil {
				out[addr] = b.Attributes[*attribute].Handle
			}
			addr = addr.Next()
		}
	}
	return out
}

func handleName(p *node.Pod) string { return node.Network + "." + p.ContainerID }

// heldBy returns the addresses of a pod according to the blocks.
func heldBy(t *testing.T, p *node.Pod) (held []netip.Addr) {
	t.Helper()
	for addr, handle := range allocations(t) {
		if handle == handleName(p) {
			held = append(held, addr)
		}
	}
	slices.SortFunc(held, netip.Addr.Compare)
	return held
}

// expectOthersKept expects that all addresses of other handles are as before.
func expectOthersKept(t *testing.T, p *node.Pod, before map[netip.Addr]string) {
	t.Helper()
	own := cmpopts.IgnoreMapEntries(func(_ netip.Addr, handle string) bool { return handle == handleName(p) })
	if diff := cmp.Diff(before, allocations(t), own, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("addresses of other handles changed (-before +after):\n%s", diff)
	}
}

// expectOnePerFamily expects at most one address of each family.
func expectOnePerFamily(t *testing.T, held []netip.Addr) {
	t.Helper()
	var v4 int
	for _, addr := range held {
		if addr.Is4() {
			v4++
		}
	}
	if v4 > 1 || len(held)-v4 > 1 {
		t.Errorf("the handle holds %v; want one address of each family at most", held)
	}
}

// expectDocumentedError expects an error with a code for a request that failed: the caller may try again, or the server
// rejects the request.
func expectDocumentedError(t *testing.T, a node.Answer) {
	t.Helper()
	must(t, json.Unmarshal([]byte(a.Stdout), &a.Error))
	if code := a.Error.Code; a.Exit != 1 || code != types.ErrTryAgainLater && code != cnierr.Refused {
		t.Errorf("exit %d, code %d; want 1 and %d or %d: %s", a.Exit, code, types.ErrTryAgainLater, cnierr.Refused, a.Stdout)
	}
}

// expectAttached expects that the result of an ADD names exactly the addresses that the pod's handle holds, one of each
// family, and that the host routes each to the pod.
func expectAttached(t *testing.T, p *node.Pod, result *current.Result) {
	t.Helper()
	got, held := addrs(t, result), heldBy(t, p)
	slices.SortFunc(got, netip.Addr.Compare)
	if !slices.Equal(got, held) || len(got) != 2 || !got[0].Is4() || !got[1].Is6() {
		t.Errorf("ADD returned %v and the handle holds %v; want the same, one address of each family", got, held)
	}
	link, err := netlink.LinkByName(hostIfName("default." + p.Name))
	must(t, err)
	routes, err := netlink.RouteList(link, netlink.FAMILY_ALL)
	must(t, err)
	for _, addr := range got {
		to := netip.PrefixFrom(addr, addr.BitLen()).String()
		if !slices.ContainsFunc(routes, func(r netlink.Route) bool { return r.Dst != nil && r.Dst.String() == to }) {
			t.Errorf("%s has no route to %s: %v", link.Attrs().Name, to, routes)
		}
	}
}

// expectReleasedOrQueued expects that a DEL has left nothing of the pod in the datastore, or has queued its release.
func expectReleasedOrQueued(t *testing.T, p *node.Pod) {
	t.Helper()
	for _, path := range waiting(t) {
		if strings.Contains(read(path), `"containerID":"`+p.ContainerID+`"`) {
			return
		}
	}
	handles, err := n.Datastore.List(t.Context(), "ipamhandles")
	must(t, err)
	annotations, err := n.Annotations(t.Context(), p)
	must(t, err)
	held, handle := heldBy(t, p), handles[handleName(p)]
	if len(held) > 0 || handle != nil || annotations["cni.projectcalico.org/podIP"] != "" {
		t.Errorf("DEL succeeded without a queued release, but %v are allocated, the handle is %v, the annotations are %v",
			held, handle, annotations)
	}
}
