// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nodeWithCIDRs creates a node object with the fields of the controller manager, and returns a function that removes
// it.
func nodeWithCIDRs(t *testing.T, name string, cidrs ...string) (remove func()) {
	t.Helper()
	nodes := n.Server.Client().CoreV1().Nodes()
	object := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.NodeSpec{PodCIDR: cidrs[0], PodCIDRs: cidrs},
	}
	_, err := nodes.Create(t.Context(), object, metav1.CreateOptions{})
	must(t, err)
	gone := false
	remove = func() {
		if !gone {
			gone = true
			must(t, nodes.Delete(withoutCancel(t.Context()), name, metav1.DeleteOptions{}))
		}
	}
	t.Cleanup(remove)
	return remove
}

type object = map[string]any

// TestHostLocalUsesPodCIDRsAndReleasesLeases adds pods with the node's CIDRs, and deletes them with the node or the API
// server gone.
func TestHostLocalUsesPodCIDRsAndReleasesLeases(t *testing.T) {
	withTools(t, "host-local")
	for _, c := range []struct {
		name string
		ipam object
		want []string
	}{
		{"subnet", object{"subnet": "usePodCidr"}, []string{"10.201.0.0/24"}},
		{"ipv6", object{"subnet": "usePodCidrIPv6"}, []string{"fd00:201::/64"}},
		{"ranges", object{"ranges": []any{
			[]any{object{"subnet": "usePodCidr"}},
			[]any{object{"subnet": "usePodCidrIPv6"}},
		}}, []string{"10.201.0.0/24", "fd00:201::/64"}},
		{"further", object{
			"subnet": "usePodCidr", "rangeStart": "10.201.0.100",
			"ranges": []any{[]any{object{"subnet": "10.202.0.0/24"}}},
		}, []string{"10.201.0.0/24", "10.202.0.0/24"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPod(t, "cidr-"+c.name)
			nodeName := "cidr-node-" + c.name
			removeNode := nodeWithCIDRs(t, nodeName, "10.201.0.0/24", "fd00:201::/64")
			leases, credentials := t.TempDir(), filepath.Join(t.TempDir(), "kubeconfig")
			c.ipam["type"], c.ipam["dataDir"] = "host-local", leases
			changes := map[string]any{"nodename": nodeName, "ipam": c.ipam, "kubernetes.kubeconfig": credentials}
			good, err := os.ReadFile(n.Kubeconfig())
			must(t, err)
			must(t, os.WriteFile(credentials, good, 0o600))
			for _, gone := range []struct {
				what string
				take func()
			}{
				{"nothing", func() {}},
				{"the API server", func() {
					dead := strings.Replace(string(good), n.Server.URL(), "https://127.0.0.1:1", 1)
					must(t, os.WriteFile(credentials, []byte(dead), 0o600))
				}},
				{"the node", removeNode},
			} {
				must(t, os.WriteFile(credentials, good, 0o600))
				unchangedBut(t, "ADD and DEL without "+gone.what, withoutPod(p.Name), func() {
					got := addrs(t, attachList(t, p, changes))
					for i, cidr := range c.want {
						if len(got) != len(c.want) || !netip.MustParsePrefix(cidr).Contains(got[i]) {
							t.Fatalf("addresses %v, want one of each of %v", got, c.want)
						}
					}
					if count := held(t, leases); count != len(c.want) {
						t.Errorf("%d leases", count)
					}
					gone.take()
					if a := del(t, p, changes); a.Exit != 0 || held(t, leases) != 0 {
						t.Errorf("DEL without %s: %+v, %d leases", gone.what, a, held(t, leases))
					}
				})
			}
		})
	}
}

func TestMissingPodCIDRIsExplained(t *testing.T) {
	withTools(t, "host-local")
	p := newPod(t, "cidr-none")
	nodeWithCIDRs(t, "cidr-node-4", "10.203.0.0/24")
	local := object{"type": "host-local", "dataDir": t.TempDir(), "subnet": "usePodCidrIPv6"}
	expectRefusal(t, p, refusal{
		changes: object{"nodename": "cidr-node-4", "ipam": local}, code: 7,
		says: []string{"usePodCidrIPv6", "node cidr-node-4", "--allocate-node-cidrs"},
	})
	expectRefusal(t, p, refusal{
		changes: object{"nodename": "cidr-nowhere", "ipam": local}, code: 11,
		says: []string{"get node cidr-nowhere"},
	})
}

func TestHostLocalRoutesReplaceDefaultRoutes(t *testing.T) {
	withTools(t, "host-local")
	routes := []any{object{"dst": "192.0.2.0/24", "gw": "10.79.0.1"}, object{"dst": "fd00:96::/112"}}
	for name, c := range map[string]struct {
		routes  any
		include bool
		want    string
	}{
		"none":              {nil, false, "route default; route6 default"},
		"none-with-default": {nil, true, "route default; route6 default"},
		"two":               {routes, false, "route 192.0.2.0/24; route6 fd00:96::/112"},
		"two-with-default":  {routes, true, "route 192.0.2.0/24; route default; route6 default; route6 fd00:96::/112"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t, "routes-"+name)
			ipam := object{
				"type": "host-local", "dataDir": t.TempDir(),
				"ranges": []any{[]any{object{"subnet": "10.79.0.0/24"}}, []any{object{"subnet": "fd00:79::/64"}}},
			}
			if c.routes != nil {
				ipam["routes"] = c.routes
			}
			changes := object{"ipam": ipam, "include_default_routes": c.include}
			got := addrs(t, attachList(t, p, changes))
			if have := viaGateway(t, p); have != c.want {
				t.Errorf("the pod's routes: %s\nwant: %s", have, c.want)
			}
			ping(t, "host to pod", nil, got[0])
			if a := del(t, p, changes); a.Exit != 0 {
				t.Errorf("DEL: %+v", a)
			}
		})
	}
}
