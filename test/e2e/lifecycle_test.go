// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

func TestConnectivityOfPodsAndHost(t *testing.T) {
	a, b := newPod(t, "talk-a"), newPod(t, "talk-b")
	addrsA, addrsB := addrs(t, add(t, a, nil)), addrs(t, add(t, b, nil))
	if len(addrsA) != 2 || !addrsA[0].Is4() || !addrsA[1].Is6() {
		t.Fatalf("addresses %v, want one IPv4 and one IPv6", addrsA)
	}
	for i, family := range []string{"IPv4", "IPv6"} {
		host := []netip.Addr{sandbox.Node4, sandbox.Node6}[i]
		ping(t, family+" pod to pod", a, addrsB[i])
		ping(t, family+" pod to pod, the other way", b, addrsA[i])
		ping(t, family+" pod to host", a, host)
		ping(t, family+" host to pod", nil, addrsA[i])
	}
}

// ping sends one packet from a pod or the host and expects the answer to this packet.
func ping(t *testing.T, what string, from *node.Pod, to netip.Addr) {
	t.Helper()
	args := []string{"ping", "-n", "-c", "1", "-W", "5", to.String()}
	if from != nil {
		args = append([]string{"nsenter", "--net=" + from.NetNS}, args...)
	}
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%s: ping %s: %v\n%s", what, to, err, out)
	}
}

func TestAddAndDelRestoreNodeAndCluster(t *testing.T) {
	warm := newPod(t, "leave-warm")
	add(t, warm, nil)
	for name, families := range map[string]map[string]any{
		"ipv4": {"ipam.assign_ipv6": "false"}, "ipv6": {"ipam.assign_ipv4": "false"}, "dual": {},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t, "leave-"+name)
			unchangedBut(t, "ADD and DEL", withoutPod(p.Name), func() {
				result := add(t, p, families)
				annotations, err := n.Annotations(t.Context(), p)
				must(t, err)
				var hosts []string
				for _, addr := range addrs(t, result) {
					hosts = append(hosts, netip.PrefixFrom(addr, addr.BitLen()).String())
				}
				want := map[string]string{
					"cni.projectcalico.org/podIP": hosts[0], "cni.projectcalico.org/podIPs": strings.Join(hosts, ","),
					"cni.projectcalico.org/containerID": p.ContainerID,
				}
				if diff := cmp.Diff(want, annotations); diff != "" {
					t.Errorf("annotations (-want +got):\n%s", diff)
				}
				for range 3 {
					if a := del(t, p, families); a.Exit != 0 || a.Stdout != "" {
						t.Errorf("DEL: %+v", a)
					}
				}
				annotations, err = n.Annotations(t.Context(), p)
				must(t, err)
				want["cni.projectcalico.org/podIP"], want["cni.projectcalico.org/podIPs"] = "", ""
				if diff := cmp.Diff(want, annotations); diff != "" {
					t.Errorf("annotations after DEL (-want +got):\n%s", diff)
				}
			})
		})
	}
}
