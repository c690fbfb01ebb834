// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"calico-cni/test/node"
	"calico-cni/test/proxy"
)

// TestG1_G5 runs GC with leftovers of every kind beside attachments that must be kept.
func TestG1_G5_GCRemovesInvalidAttachments(t *testing.T) {
	for _, plugin := range both {
		t.Run(plugin, func(t *testing.T) {
			named := map[string]any{"name": "g1-" + plugin}
			stays, goes, orphan := newPod(t, "g1-stays-"+plugin), newPod(t, "g1-goes-"+plugin), newPod(t,
				"g1-orphan-"+plugin)
			a := attach(t, plugin, stays, named)
			before := state(t)
			gone := attach(t, plugin, goes, named)
			attach(t, plugin, orphan, named)
			must(t, n.Datastore.Delete(t.Context(), "ipamhandles", named["name"].(string)+"."+orphan.ContainerID))

			expectOK(t, "GC", ask(t, plugin, "GC", nil, valid(named, stays.ContainerID, "eth0", "never-heard-of",
				"eth0")))
			// The annotations of the pods are left to their DEL.
			look := func(s string) string { return withoutPod(goes.Name)(withoutPod(orphan.Name)(s)) }
			expectSame(t, "GC", look(before), look(state(t)))
			for _, addr := range addrs(t, resultOf(t, gone)) {
				if strings.Contains(state(t), "route "+addr.String()) {
					t.Errorf("%s still has a route", addr)
				}
			}
			expectOK(t, "CHECK of the valid attachment", check(t, plugin, stays, named, a))
		})
	}
}

func TestG1_GCReleasesBorrowedAddressesOnly(t *testing.T) {
	installed(t)
	must(t, n.Datastore.CreatePool(t.Context(), "g1-lent", "10.81.0.0/29", 29))
	t.Cleanup(func() { must(t, n.Datastore.Delete(withoutCancel(t.Context()), "ippools", "g1-lent")) })
	for _, plugin := range both {
		lent := map[string]any{
			"name": "g1-lent-" + plugin, "ipam.assign_ipv6": "false",
			"ipam.ipv4_pools": []string{"g1-lent"},
		}
		lender := plus(lent, "nodename", "g1-lender", "nodename_file_optional", true, "ipam_lock_file",
			filepath.Join(t.TempDir(), "lock"))
		owned, borrower := newPod(t, "g1-owned-"+plugin), newPod(t, "g1-borrower-"+plugin)
		a := attach(t, "calico-ipam", owned, lender)
		before := state(t)
		attach(t, plugin, borrower, lent)
		expectOK(t, plugin+" GC", ask(t, plugin, "GC", nil, valid(lent)))
		expectSame(t, plugin+" GC", before, withoutPod(borrower.Name)(state(t)))
		expectOK(t, "CHECK of the lender's", check(t, "calico-ipam", owned, lender, a))
		expectOK(t, "DEL", ask(t, "calico-ipam", "DEL", owned, lender))
		must(t, n.Datastore.Delete(t.Context(), "blockaffinities", "g1-lender-10-81-0-0-29"))
		must(t, n.Datastore.Delete(t.Context(), "ipamblocks", "10-81-0-0-29"))
	}
}

func TestG1_GCKeepsValidSecondInterface(t *testing.T) {
	for i, order := range [][]string{{"eth0", "net1"}, {"net1", "eth0"}} {
		for _, plugin := range both {
			named := map[string]any{"name": fmt.Sprintf("g1-second-%d-%s", i, plugin)}
			p := newPod(t, fmt.Sprintf("g1-second-%d-%s", i, plugin))
			of := map[string]node.Answer{}
			for _, ifName := range []string{"eth0", "net1"} {
				of[ifName] = attach(t, plugin, p, named, "CNI_IFNAME", ifName)
			}
			expectOK(t, "GC", ask(t, plugin, "GC", nil, valid(named, p.ContainerID, order[1])))
			expectError(t, plugin+" CHECK of "+order[0], check(t, plugin, p, named, of[order[0]], "CNI_IFNAME",
				order[0]), 103, order0(order, plugin))
			expectOK(t, plugin+" CHECK of "+order[1], check(t, plugin, p, named, of[order[1]], "CNI_IFNAME", order[1]))
		}
	}
}

// order0 returns the part that a CHECK names: the interface or the address.
func order0(order []string, plugin string) string {
	if plugin == "calico" {
		return order[0]
	}
	return "not held"
}

func TestG2_AbsentListIsErrorAndEmptyListMeansAll(t *testing.T) {
	for _, plugin := range both {
		named := map[string]any{"name": "g2-" + plugin}
		p := newPod(t, "g2-"+plugin)
		before := withoutPod(p.Name)(state(t))
		a := attach(t, plugin, p, named)
		unchanged(t, "GC without a list", func() {
			expectError(t, plugin, ask(t, plugin, "GC", nil, named), 7, "cni.dev/valid-attachments")
			expectError(t, plugin, ask(t, plugin, "GC", nil, plus(named, "cni.dev/valid-attachments", "x")), 6,
				"cni.dev/valid-attachments")
			for _, nameless := range []string{
				`[null]`, `[{}]`, `[{"containerID":"` + p.ContainerID + `"}]`,
				`[{"container_id":"a","if_name":"eth0"}]`,
			} {
				expectError(t, plugin, ask(t, plugin, "GC", nil,
					plus(named, "cni.dev/valid-attachments",
						json.RawMessage(nameless))), 7, "cni.dev/valid-attachments[0]")
			}
			// A JSON null is not a list either.
			stdin := strings.Replace(mustJSON(t, must2(n.Config(valid(named)))), `"cni.dev/valid-attachments":[]`,
				`"cni.dev/valid-attachments":null`, 1)
			got, err := n.Run(t.Context(), node.Call{Plugin: plugin, Command: "GC", Stdin: []byte(stdin)})
			must(t, err)
			expectError(t, plugin+" null", got, 7, "cni.dev/valid-attachments")
		})
		expectOK(t, plugin+" CHECK", check(t, plugin, p, named, a))
		expectOK(t, plugin+" GC of all", ask(t, plugin, "GC", nil, valid(named)))
		expectSame(t, plugin+" GC of all", before, withoutPod(p.Name)(state(t)))
	}
}

// must2 is must for functions with two results.
func must2[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestG3 rejects every write to the block of one family. The address of the other family must still be released.
func TestG3_GCContinuesAfterFailure(t *testing.T) {
	through := proxy.Start(t, n.Kubeconfig())
	for _, plugin := range both {
		named := map[string]any{"name": "g3-" + plugin}
		p4, p6 := newPod(t, "g3-4-"+plugin), newPod(t, "g3-6-"+plugin)
		before := state(t)
		attach(t, plugin, p4, plus(named, "ipam.assign_ipv6", "false"))
		attach(t, plugin, p6, plus(named, "ipam.assign_ipv4", "false"))
		through.Arm(&proxy.Fault{Status: http.StatusForbidden, Always: true, Matches: func(method, path string) bool {
			return method == "PUT" && strings.Contains(path, "/ipamblocks/10-")
		}})
		all := valid(plus(named, "kubernetes.kubeconfig", through.Kubeconfig(t, n.Kubeconfig())))
		expectError(t, plugin+" GC", ask(t, plugin, "GC", nil, all), 101, "10-244-")
		s := state(t)
		if !strings.Contains(s, handleOf(named["name"].(string), p4)) ||
			strings.Contains(s, handleOf(named["name"].(string), p6)) {
			t.Errorf("%s: want the IPv4 address allocated, the IPv6 address released:\n%s", plugin, s)
		}
		if hasLink(hostIfName("default."+p4.Name)) || hasLink(hostIfName("default."+p6.Name)) {
			t.Errorf("%s: an interface still exists", plugin)
		}
		through.Arm(nil)
		expectOK(t, plugin+" GC afterwards", ask(t, plugin, "GC", nil, all))
		look := func(s string) string { return withoutPod(p4.Name)(withoutPod(p6.Name)(s)) }
		expectSame(t, plugin+" GC afterwards", look(before), look(state(t)))
	}
}

func TestG4_GCCallsOtherIPAMPlugin(t *testing.T) {
	p := newPod(t, "g4")
	log := script(t, n.BinDir(), "tidy-ipam", `case "$CNI_COMMAND" in
ADD) echo '{"cniVersion":"1.1.0","ips":[{"address":"10.78.1.9/24"}]}';;
GC) cat >&3;;
esac`)
	changes := map[string]any{"ipam": map[string]any{"type": "tidy-ipam"}, "name": "g4"}
	attach(t, "calico", p, changes)
	expectOK(t, "GC", ask(t, "calico", "GC", nil, valid(changes, "keep-this", "eth0")))
	if got := read(log); !strings.Contains(got, "GC ") || !strings.Contains(got, `"keep-this"`) ||
		!strings.Contains(got, `"tidy-ipam"`) {
		t.Errorf("the IPAM plugin got:\n%s", got)
	}
	if hasLink(hostIfName("default.g4")) {
		t.Error("the interface still exists")
	}
	byExec := map[string]any{"ipam.exec": true, "name": "g4-exec"}
	q := newPod(t, "g4-exec")
	attach(t, "calico", q, byExec)
	expectOK(t, "GC by exec", ask(t, "calico", "GC", nil, valid(byExec)))
	if s := state(t); strings.Contains(s, handleOf("g4-exec", q)) || hasLink(hostIfName("default.g4-exec")) {
		t.Errorf("left behind:\n%s", s)
	}
}

// TestG4_IPAMPluginWithoutGCIsNoError uses a real plugin without GC.
func TestG4_IPAMPluginWithoutGCIsNoError(t *testing.T) {
	p := newPod(t, "g4-local")
	changes := plus(hostLocal(t, "10.79.4.0/24"), "name", "g4-local")
	attach(t, "calico", p, changes)
	expectOK(t, "GC", ask(t, "calico", "GC", nil, valid(changes)))
	if hasLink(hostIfName("default.g4-local")) {
		t.Error("the interface still exists")
	}
}

func TestG6_G7_RepeatedGCIsSilentAndDelMayFollow(t *testing.T) {
	for _, plugin := range both {
		named := map[string]any{"name": "g6-" + plugin}
		p := newPod(t, "g6-"+plugin)
		attach(t, plugin, p, named)
		expectOK(t, plugin+" GC", ask(t, plugin, "GC", nil, valid(named)))
		unchanged(t, plugin+" GC again", func() {
			expectOK(t, plugin+" GC again", ask(t, plugin, "GC", nil, valid(named)))
		})
		expectOK(t, plugin+" DEL after GC", ask(t, plugin, "DEL", p, named))
		expectOK(t, plugin+" DEL again", ask(t, plugin, "DEL", p, named))
		// The same attachment can be added again after the DEL.
		attach(t, plugin, p, named)
	}
}

// TestG8 makes addresses look like those of tunnels and of other owners, and runs GC.
func TestG8_GCKeepsTunnelsOtherNetworksAndOtherNodes(t *testing.T) {
	for _, plugin := range both {
		name := "g8-" + plugin
		named := map[string]any{"name": name}
		other := newPod(t, "g8-other-"+plugin)
		longer, far := plus(named, "name", name+"-longer"), plus(named, "nodename", "g8-far", "nodename_file_optional",
			true)
		attach(t, plugin, other, longer)
		attach(t, "calico-ipam", newPod(t, "g8-far-"+plugin), far)

		tunnel, typed := newPod(t, "g8-tunnel-"+plugin), newPod(t, "g8-typed-"+plugin)
		attach(t, "calico-ipam", tunnel, named)
		attach(t, "calico-ipam", typed, named)
		handle, own := "vxlan-tunnel-addr-"+node.Name, name+"."+tunnel.ContainerID
		alter(t, own, func(a map[string]any) {
			a["handle_id"], a["secondary"] = handle, map[string]any{"node": node.Name, "type": "vxlanTunnelAddress"}
		})
		alter(t, name+"."+typed.ContainerID, func(a map[string]any) {
			a["secondary"] = map[string]any{"node": node.Name, "type": "ipipTunnelAddress"}
		})
		unchanged(t, plugin+" GC", func() { expectOK(t, plugin+" GC", ask(t, plugin, "GC", nil, valid(named))) })
		if s := state(t); strings.Count(s, `"`+handle+`"`) != 2 || !strings.Contains(s, "ipipTunnelAddress") {
			t.Errorf("%s: this test has created no addresses:\n%s", plugin, s)
		}
		if !hasLink(hostIfName("default."+other.Name)) && plugin == "calico" {
			t.Error("the interface of another network is gone")
		}
		alter(t, handle, func(a map[string]any) { a["handle_id"] = own })
	}
}

// TestG8_GCKeepsAttachmentBeingAdded pauses an ADD between its writes.
func TestG8_GCKeepsAttachmentBeingAdded(t *testing.T) {
	for plugin, request := range map[string]string{"calico": "PATCH /pods/", "calico-ipam": "PUT /ipamblocks/"} {
		through := proxy.Start(t, n.Kubeconfig())
		path := through.Kubeconfig(t, n.Kubeconfig())
		method, kind, _ := strings.Cut(request, " ")
		p, gone := newPod(t, "g8-adding-"+plugin), newPod(t, "g8-gone-"+plugin)
		named := map[string]any{"name": "g8-adding-" + plugin}
		attach(t, plugin, gone, named)
		until := make(chan struct{})
		through.Arm(holding(method, kind, until))
		added := make(chan node.Answer)
		go func() { added <- ask(t, plugin, "ADD", p, plus(named, "kubernetes.kubeconfig", path)) }()
		await(t, "the ADD to get so far", through.Fired)
		expectOK(t, plugin+" GC", ask(t, plugin, "GC", nil, valid(named)))
		close(until)
		a := <-added
		if a.Exit != 0 {
			t.Errorf("%s: ADD: %+v", plugin, a)
		}
		expectOK(t, plugin+" CHECK", check(t, plugin, p, named, a))
		if s := state(t); strings.Contains(s, handleOf(named["name"].(string), gone)) {
			t.Errorf("%s: GC did nothing:\n%s", plugin, s)
		}
		expectOK(t, plugin+" DEL", ask(t, plugin, "DEL", p, named))
	}
}

func TestG9_DisableGCIsIgnored(t *testing.T) {
	for _, plugin := range both {
		named := map[string]any{"name": "g9-" + plugin, "disableGC": true}
		p := newPod(t, "g9-"+plugin)
		attach(t, plugin, p, named)
		expectOK(t, plugin+" GC", ask(t, plugin, "GC", nil, valid(named)))
		if s := state(t); strings.Contains(s, handleOf("g9-"+plugin, p)) {
			t.Errorf("%s: GC did nothing:\n%s", plugin, s)
		}
	}
}
