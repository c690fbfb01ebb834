// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"

	"calico-cni/internal/nettest"
	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

func TestK1_CheckNeeds040AndPreviousResult(t *testing.T) {
	p := newPod(t, "k1")
	for _, plugin := range both {
		a := attach(t, plugin, p, map[string]any{"name": "k1-" + plugin})
		for _, version := range []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1"} {
			got := check(t, plugin, p, map[string]any{"name": "k1-" + plugin, "cniVersion": version}, a)
			expectError(t, plugin+" "+version, got, 1, version, "CHECK", "0.4.0")
		}
		expectError(t, plugin, ask(t, plugin, "CHECK", p, map[string]any{"name": "k1-" + plugin}), 7, "prevResult")
		expectOK(t, "DEL", ask(t, plugin, "DEL", p, map[string]any{"name": "k1-" + plugin}))
	}
}

func TestK2_CheckIgnoresResultsOfOtherPlugins(t *testing.T) {
	p := newPod(t, "k2")
	for _, plugin := range both {
		named := map[string]any{"name": "k2-" + plugin}
		a := attach(t, plugin, p, named)
		r := resultOf(t, a)
		said := mustJSON(t, map[string]any{
			"cniVersion": "1.1.0", "dns": map[string]any{},
			"routes": append(listed(r.Routes), map[string]any{"dst": "203.0.113.0/24", "gw": "192.0.2.1"}),
			"interfaces": append(listed(r.Interfaces), map[string]any{"name": "other0", "sandbox": p.NetNS},
				map[string]any{"name": "br9"}),
			"ips": append(listed(r.IPs),
				map[string]any{"address": "203.0.113.9/24", "interface": len(r.Interfaces)}),
		})
		expectOK(t, plugin+" CHECK", check(t, plugin, p, named, node.Answer{Stdout: said}))
		expectOK(t, "DEL", ask(t, plugin, "DEL", p, named))
	}
}

func listed[T any](of []T) []any {
	var out []any
	for _, one := range of {
		out = append(out, one)
	}
	return out
}

// breakage is a change to an attachment, with the message that CHECK must report.
type breakage struct {
	name string
	do   func(t *testing.T, p *node.Pod, host string, addr net.IP)
	code uint
	says []string
}

// inPod changes the pod's interface.
func inPod(do func(link netlink.Link) error) func(*testing.T, *node.Pod, string, net.IP) {
	return func(t *testing.T, p *node.Pod, _ string, _ net.IP) {
		nettest.Open(t, p.NetNS).Do(func() {
			link, err := netlink.LinkByName("eth0")
			must(t, err)
			must(t, do(link))
		})
	}
}

// onHost changes the host interface.
func onHost(do func(link netlink.Link) error) func(*testing.T, *node.Pod, string, net.IP) {
	return func(t *testing.T, _ *node.Pod, host string, _ net.IP) {
		link, err := netlink.LinkByName(host)
		must(t, err)
		must(t, do(link))
	}
}

func host32(ip net.IP) *net.IPNet { return &net.IPNet{IP: ip, Mask: net.CIDRMask(32, 32)} }

// breakages are the changes to the data plane.
func breakages() []breakage {
	return []breakage{
		{name: "interface deleted", do: inPod(netlink.LinkDel), code: 103, says: []string{"eth0"}},
		{name: "interface down", do: inPod(netlink.LinkSetDown), code: 103, says: []string{"eth0", "down"}},
		{name: "host interface down", do: onHost(netlink.LinkSetDown), code: 103, says: []string{"cali", "down"}},
		{name: "address removed", do: func(t *testing.T, p *node.Pod, host string, addr net.IP) {
			inPod(func(link netlink.Link) error { return netlink.AddrDel(link, &netlink.Addr{IPNet: host32(addr)}) })(t,
				p, host, addr)
		}, code: 103, says: []string{"ADDR"}},
		{name: "default route of the pod removed", do: inPod(func(link netlink.Link) error {
			return netlink.RouteDel(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.IPv4(169, 254, 1, 1)})
		}), code: 103, says: []string{"route", "169.254.1.1"}},
		{name: "route of the host removed", do: func(t *testing.T, p *node.Pod, host string, addr net.IP) {
			onHost(func(link netlink.Link) error {
				return netlink.RouteDel(&netlink.Route{
					LinkIndex: link.Attrs().Index, Dst: host32(addr),
					Scope: netlink.SCOPE_LINK,
				})
			})(t, p, host, addr)
		}, code: 103, says: []string{"route", "ADDR"}},
		{name: "MAC changed", do: inPod(func(link netlink.Link) error {
			return netlink.LinkSetHardwareAddr(link, net.HardwareAddr{0x0a, 1, 2, 3, 4, 5})
		}), code: 103, says: []string{"0a:01:02:03:04:05"}},
		{name: "sysctl of the host interface", do: func(t *testing.T, _ *node.Pod, host string, _ net.IP) {
			must(t, os.WriteFile("/proc/sys/net/ipv4/conf/"+host+"/proxy_arp", []byte("0"), 0o644))
		}, code: 103, says: []string{"proxy_arp"}},
	}
}

func TestK3_EachDefectIsNamed(t *testing.T) {
	for i, b := range breakages() {
		t.Run(b.name, func(t *testing.T) {
			p := newPod(t, fmt.Sprint("k3-", i))
			a := attach(t, "calico", p, nil)
			addr := resultOf(t, a).IPs[0].Address.IP
			b.do(t, p, hostIfName("default."+p.Name), addr)
			for i := range b.says {
				b.says[i] = strings.ReplaceAll(b.says[i], "ADDR", addr.String())
			}
			expectError(t, "CHECK", check(t, "calico", p, nil, a), b.code, b.says...)
		})
	}
}

func TestK3_OtherSandboxIsNamed(t *testing.T) {
	p := newPod(t, "k3-sandbox")
	a := attach(t, "calico", p, nil)
	other, err := sandbox.NewNetNS("k3-other")
	must(t, err)
	defer func() { must(t, sandbox.RemoveNetNS(other)) }()
	expectError(t, "CHECK", check(t, "calico", p, nil, a, "CNI_NETNS", other), 103, p.NetNS, other)
	expectError(t, "CHECK", check(t, "calico", p, nil, a, "CNI_NETNS", "/run/netns/gone"), 103, p.NetNS,
		"/run/netns/gone")
	expectError(t, "CHECK", check(t, "calico", p, nil, a, "CNI_IFNAME", "net9"), 103, "net9")
}

// TestK4 releases the addresses behind the attachment's back and allocates them to another.
func TestK4_MissingOrForeignAllocationIsNamed(t *testing.T) {
	for _, plugin := range both {
		p := newPod(t, "k4-"+plugin)
		a := attach(t, plugin, p, nil)
		v4 := addrs(t, resultOf(t, a))[0].String()
		alter(t, node.Network+"."+p.ContainerID, func(attribute map[string]any) {
			attribute["secondary"].(map[string]any)["pod"] = "other-pod"
		})
		expectError(t, plugin+" CHECK, allocated to another pod", check(t, plugin, p, nil, a), 103, v4, "default/other-pod")
		alter(t, node.Network+"."+p.ContainerID, func(attribute map[string]any) {
			attribute["secondary"].(map[string]any)["pod"] = p.Name
		})
		expectOK(t, plugin+" CHECK", check(t, plugin, p, nil, a))
		expectOK(t, "DEL of calico-ipam", ask(t, "calico-ipam", "DEL", p, nil))
		expectError(t, plugin+" CHECK, released", check(t, plugin, p, nil, a), 103, v4, "not held")
	}
}

func TestK5_ChangesByChainedPluginsAreTolerated(t *testing.T) {
	p := newPod(t, "k5")
	a := attach(t, "calico", p, nil)
	inPod(func(link netlink.Link) error {
		tuned := net.HardwareAddr{0x0a, 9, 9, 9, 9, 9}
		a.Stdout = strings.Replace(a.Stdout, link.Attrs().HardwareAddr.String(), tuned.String(), 1)
		must(t, netlink.LinkSetHardwareAddr(link, tuned))
		must(t, netlink.LinkSetMTU(link, 1400))
		must(t, netlink.AddrAdd(link, &netlink.Addr{IPNet: host32(net.IPv4(203, 0, 113, 5))}))
		_, dst, err := net.ParseCIDR("203.0.113.0/24")
		must(t, err)
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_LINK})
	})(t, p, "", nil)
	expectOK(t, "CHECK", check(t, "calico", p, nil, a))
}

// TestK6 covers the forms of an attachment.
func TestK6_CheckSucceedsRightAfterAdd(t *testing.T) {
	own := func(p *corev1.Pod) {
		p.Annotations = map[string]string{"cni.projectcalico.org/ipAddrsNoIpam": `["10.79.0.7"]`}
	}
	for i, form := range []struct {
		name, plugin string
		changes      map[string]any
		env          []string
		pod          []func(*corev1.Pod)
	}{
		{name: "IPv4", plugin: "calico", changes: map[string]any{"ipam.assign_ipv6": "false"}},
		{name: "IPv6", plugin: "calico", changes: map[string]any{"ipam.assign_ipv4": "false"}},
		{name: "dual stack", plugin: "calico"},
		{name: "another interface name", plugin: "calico", env: []string{"CNI_IFNAME", "net1"}},
		{name: "no pod", plugin: "calico", env: []string{"CNI_ARGS", "-"}},
		{name: "calico-ipam", plugin: "calico-ipam"},
		{name: "calico-ipam, no pod", plugin: "calico-ipam", env: []string{"CNI_ARGS", "-"}},
		{name: "calico-ipam by exec", plugin: "calico", changes: map[string]any{"ipam.exec": true}},
		{name: "host-local", plugin: "calico", changes: hostLocal(t, "10.79.1.0/24")},
		{
			name: "addresses of the pod's own", plugin: "calico",
			changes: map[string]any{"feature_control": map[string]any{"ip_addrs_no_ipam": true}},
			pod:     []func(*corev1.Pod){own},
		},
		{name: "0.4.0", plugin: "calico", changes: map[string]any{"cniVersion": "0.4.0"}},
		{name: "1.0.0", plugin: "calico", changes: map[string]any{"cniVersion": "1.0.0"}},
		{name: "calico-ipam, 0.4.0", plugin: "calico-ipam", changes: map[string]any{"cniVersion": "0.4.0"}},
		{name: "calico-ipam, 1.0.0", plugin: "calico-ipam", changes: map[string]any{"cniVersion": "1.0.0"}},
	} {
		t.Run(form.name, func(t *testing.T) {
			p := newPod(t, fmt.Sprint("k6-", i), form.pod...)
			a := attach(t, form.plugin, p, form.changes, form.env...)
			expectOK(t, "CHECK", check(t, form.plugin, p, form.changes, a, form.env...))
		})
	}
}

func TestK7_CheckCallsOtherIPAMPlugin(t *testing.T) {
	p := newPod(t, "k7")
	changes := hostLocal(t, "10.79.2.0/24")
	a := attach(t, "calico", p, changes)
	leases, err := filepath.Glob(filepath.Join(changes["ipam"].(map[string]any)["dataDir"].(string), "*", "10.79.2.*"))
	must(t, err)
	if len(leases) != 1 {
		t.Fatalf("leases %v", leases)
	}
	must(t, os.Remove(leases[0]))
	a = check(t, "calico", p, changes, a)
	expectError(t, "CHECK", a, a.Error.Code, "IPAM plugin host-local", p.ContainerID)

	byExec := map[string]any{"ipam.exec": true, "name": "k7"}
	again := newPod(t, "k7-exec")
	a = attach(t, "calico", again, byExec)
	expectOK(t, "DEL of calico-ipam", ask(t, "calico-ipam", "DEL", again, byExec))
	expectError(t, "CHECK by exec", check(t, "calico", again, byExec, a), 103, "calico-ipam", "not held")
}

// TestK8 compares the complete state before and after a successful and a failed CHECK.
func TestK8_CheckChangesNothing(t *testing.T) {
	p := newPod(t, "k8")
	a := attach(t, "calico", p, nil)
	ns := nettest.Open(t, p.NetNS)
	for what, env := range map[string][]string{"that succeeds": nil, "that fails": {"CNI_CONTAINERID", "another"}} {
		unchanged(t, "CHECK "+what, func() {
			before := ns.Dump() + nettest.Open(t, "/proc/self/ns/net").Dump()
			for _, plugin := range both {
				got := check(t, plugin, p, nil, a, env...)
				if failed := got.Exit != 0; failed != (env != nil) {
					t.Errorf("CHECK of %s %s: %+v", plugin, what, got)
				}
			}
			if diff := cmp.Diff(before, ns.Dump()+nettest.Open(t, "/proc/self/ns/net").Dump()); diff != "" {
				t.Errorf("CHECK %s (-before +after):\n%s", what, diff)
			}
		})
	}
}

func TestK9_APIServerErrorsAreTransient(t *testing.T) {
	p := newPod(t, "k9")
	for _, plugin := range both {
		named := map[string]any{"name": "k9-" + plugin}
		a := attach(t, plugin, p, named)
		expectOK(t, plugin+" CHECK", check(t, plugin, p, named, a))
		// The attachment is broken without its addresses, but this cannot be determined during the outage.
		expectOK(t, plugin, ask(t, "calico-ipam", "DEL", p, named))
		for _, o := range outages(t) {
			t.Run(plugin+" "+o.name, func(t *testing.T) {
				broken := plus(named, "kubernetes.kubeconfig", o.begin(t))
				defer o.end(t)
				expectError(t, "CHECK", check(t, plugin, p, broken, a), 11, o.says)
			})
		}
		expectError(t, plugin+" CHECK afterwards", check(t, plugin, p, named, a), 103)
		expectOK(t, "DEL", ask(t, plugin, "DEL", p, named))
	}
}

// TestK2 uses addresses of earlier plugins of the chain, which calico neither created nor checks.
func TestK2_AddressesOfEarlierPluginsAreIgnored(t *testing.T) {
	p, named := newPod(t, "k2-earlier"), map[string]any{"name": "k2-earlier"}
	for _, previous := range []string{
		`{"cniVersion":"1.1.0","interfaces":[{"name":"first0"}],"ips":[{"address":"192.0.2.77/24"}]}`,
		`{"cniVersion":"1.1.0","ips":[{"address":"192.0.2.77/24","interface":9}]}`,
		`{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","sandbox":"/other"}],"ips":[{"address":"192.0.2.77/24","interface":0}]}`,
	} {
		a := attach(t, "calico", p, plus(named, "prevResult", json.RawMessage(previous)))
		expectOK(t, "CHECK behind "+previous, check(t, "calico", p, named, a))
		expectOK(t, "DEL", ask(t, "calico", "DEL", p, plus(named, "prevResult", json.RawMessage(a.Stdout))))
	}
}
