// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"

	"calico-cni/internal/nettest"
	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

// withTools installs plugins of other projects on the node.
func withTools(t *testing.T, names ...string) {
	t.Helper()
	installed(t)
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(n.Tools, name))
		must(t, err)
		// Another test may be running the existing file.
		path := filepath.Join(n.BinDir(), name)
		must(t, os.WriteFile(path+".new", data, 0o755))
		must(t, os.Rename(path+".new", path))
	}
}

// list is a network with calico, changes to its configuration, and further plugins.
func list(t *testing.T, changes map[string]any, others ...map[string]any) *libcni.NetworkConfigList {
	t.Helper()
	first, err := n.Config(changes)
	must(t, err)
	return networkOf(t, append([]map[string]any{first}, others...)...)
}

func networkOf(t *testing.T, plugins ...map[string]any) *libcni.NetworkConfigList {
	t.Helper()
	data, err := json.Marshal(map[string]any{"cniVersion": "1.1.0", "name": node.Network, "plugins": plugins})
	must(t, err)
	network, err := libcni.NetworkConfFromBytes(data)
	must(t, err)
	return network
}

// runtime returns the CNI library of a container runtime, which runs the binaries.
func runtime(t *testing.T) *libcni.CNIConfig {
	t.Helper()
	return libcni.NewCNIConfigWithCacheDir([]string{n.BinDir()}, t.TempDir(),
		&invoke.DefaultExec{RawExec: &invoke.RawExec{Stderr: io.Discard}})
}

func runtimeConf(p *node.Pod, capabilities map[string]any) *libcni.RuntimeConf {
	conf := &libcni.RuntimeConf{
		ContainerID: p.ContainerID, NetNS: p.NetNS, IfName: "eth0",
		CapabilityArgs: capabilities,
	}
	for pair := range strings.SplitSeq(p.Args(), ";") {
		key, value, _ := strings.Cut(pair, "=")
		conf.Args = append(conf.Args, [2]string{key, value})
	}
	return conf
}

// rules returns the iptables rules that mention one of the addresses.
func rules(t *testing.T, addrs []netip.Addr) (out []string) {
	t.Helper()
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		data, err := exec.Command(program).Output()
		must(t, err)
		for line := range strings.Lines(string(data)) {
			for _, addr := range addrs {
				if strings.Contains(line, addr.String()) {
					out = append(out, strings.TrimSpace(line))
				}
			}
		}
	}
	return out
}

// link is the result of a chain for a pod, for the checks.
type link struct {
	pod    *node.Pod
	ns     *nettest.NetNS
	result *current.Result
	addrs  []netip.Addr
}

// podLink returns the pod's interface.
func (l link) podLink(t *testing.T) (found netlink.Link) {
	t.Helper()
	l.ns.Do(func() {
		var err error
		found, err = netlink.LinkByName("eth0")
		must(t, err)
	})
	return found
}

// TestChainedPlugins runs the plugins that are commonly chained after calico. Each must have its effect, the list must
// pass CHECK immediately, and DEL must leave nothing behind.
func TestChainedPlugins(t *testing.T) {
	withTools(t, "portmap", "bandwidth", "tuning", "sbr", "firewall")
	for _, c := range []struct {
		name         string
		plugin       map[string]any
		capabilities map[string]any
		works        func(*testing.T, link)
	}{
		{
			"portmap",
			map[string]any{"type": "portmap", "snat": true, "capabilities": map[string]bool{"portMappings": true}},
			map[string]any{"portMappings": []map[string]any{{
				"hostPort": 18080, "containerPort": 8080,
				"protocol": "tcp",
			}}},
			portAnswers,
		},
		{"bandwidth", map[string]any{
			"type": "bandwidth", "ingressRate": 8e6, "ingressBurst": 8e6, "egressRate": 8e6,
			"egressBurst": 8e6,
		}, nil, trafficIsShaped},
		{
			"tuning", map[string]any{
				"type": "tuning", "mac": "02:00:00:00:12:34", "mtu": 1300, "promisc": true,
				"sysctl": map[string]string{"net.core.somaxconn": "77"},
			}, nil, linkIsTuned,
		},
		// Without a table option, sbr moves all routes of the pod except those through a gateway outside of its prefix,
		// as Calico's.
		{"sbr", map[string]any{"type": "sbr", "table": 200}, nil, sourceIsRouted},
		{"firewall", map[string]any{"type": "firewall", "backend": "iptables"}, nil, forwardingIsAllowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPod(t, "chain-"+c.name)
			network, cni, conf := list(t, nil, c.plugin), runtime(t), runtimeConf(p, c.capabilities)
			var got []netip.Addr
			unchangedBut(t, "ADD and DEL", withoutPod(p.Name), func() {
				r, err := cni.AddNetworkList(t.Context(), network, conf)
				must(t, err)
				result, err := current.NewResultFromResult(r)
				must(t, err)
				if err := cni.CheckNetworkList(t.Context(), network, conf); err != nil {
					t.Errorf("CHECK right after ADD: %v", err)
				}
				got = addrs(t, result)
				ping(t, "host to pod", nil, got[0])
				c.works(t, link{p, nettest.Open(t, p.NetNS), result, got})
				must(t, cni.DelNetworkList(t.Context(), network, conf))
				must(t, cni.DelNetworkList(t.Context(), network, conf))
			})
			if left := rules(t, got); left != nil {
				t.Errorf("rules after DEL:\n%s", strings.Join(left, "\n"))
			}
		})
	}
}

func portAnswers(t *testing.T, l link) {
	var listener net.Listener
	l.ns.Do(func() {
		var err error
		listener, err = net.Listen("tcp", ":8080")
		must(t, err)
	})
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "hello from "+l.pod.Name)
			_ = conn.Close()
		}
	}()
	nettest.Open(t, "/run/netns/world").Do(func() {
		conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(sandbox.Node4, 18080).String(), 5*time.Second)
		must(t, err)
		defer func() { _ = conn.Close() }()
		must(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
		if answer, err := io.ReadAll(conn); err != nil || string(answer) != "hello from "+l.pod.Name {
			t.Errorf("the node's port answers %q, %v", answer, err)
		}
	})
	if rules(t, l.addrs) == nil {
		t.Error("no rule for the pod: the check looks in the wrong place")
	}
}

// trafficIsShaped checks for a token bucket in each direction: on the host interface, and on the interface through
// which the pod's outgoing traffic is redirected.
func trafficIsShaped(t *testing.T, l link) {
	var shaped []string
	links, err := netlink.LinkList()
	must(t, err)
	for _, link := range links {
		all, err := netlink.QdiscList(link)
		must(t, err)
		for _, q := range all {
			if tbf, ok := q.(*netlink.Tbf); ok && tbf.Rate == 1e6 {
				shaped = append(shaped, link.Type())
			}
		}
	}
	if len(shaped) != 2 || !strings.Contains(fmt.Sprint(shaped), "veth") ||
		!strings.Contains(fmt.Sprint(shaped), "ifb") {
		t.Errorf("token buckets of 8 Mbit/s are on %v, want one veth and one ifb", shaped)
	}
}

func linkIsTuned(t *testing.T, l link) {
	a := l.podLink(t).Attrs()
	if a.HardwareAddr.String() != "02:00:00:00:12:34" || a.MTU != 1300 || a.Promisc == 0 {
		t.Errorf("MAC %s, MTU %d, promisc %d", a.HardwareAddr, a.MTU, a.Promisc)
	}
	l.ns.Do(func() {
		data, err := os.ReadFile("/proc/sys/net/core/somaxconn")
		must(t, err)
		if strings.TrimSpace(string(data)) != "77" {
			t.Errorf("somaxconn is %s", data)
		}
	})
	if mac := l.result.Interfaces[1].Mac; mac != "02:00:00:00:12:34" {
		t.Errorf("the result has the MAC %s", mac)
	}
}

// sourceIsRouted checks for a rule for each address of the pod that selects the table.
func sourceIsRouted(t *testing.T, l link) {
	for _, addr := range l.addrs {
		l.ns.Do(func() {
			family := netlink.FAMILY_V4
			if addr.Is6() {
				family = netlink.FAMILY_V6
			}
			rules, err := netlink.RuleList(family)
			must(t, err)
			if text := fmt.Sprint(rules); !strings.Contains(text, "from "+addr.String()) ||
				!strings.Contains(text, "table 200") {
				t.Errorf("no rule for %s: %s", addr, text)
			}
		})
	}
}

func forwardingIsAllowed(t *testing.T, l link) {
	all := strings.Join(rules(t, l.addrs), "\n")
	for _, addr := range l.addrs {
		if !strings.Contains(all, addr.String()) {
			t.Errorf("no rule for %s among:\n%s", addr, all)
		}
	}
}

// TestGCAndStatusThroughRuntimeLibrary lets a runtime collect the leftovers of an attachment that it no longer lists as
// valid, and keep a valid one.
func TestGCAndStatusThroughRuntimeLibrary(t *testing.T) {
	kept, forgotten := newPod(t, "gc-kept"), newPod(t, "gc-forgotten")
	network, err := libcni.LoadNetworkConf(n.NetDir(), node.Network)
	must(t, err)
	// Both verbs need 1.1.0. The installed list has an older version for old runtimes.
	data := strings.Replace(string(network.Bytes), `"1.0.0"`, `"1.1.0"`, 1)
	network, err = libcni.NetworkConfFromBytes([]byte(data))
	must(t, err)
	cni := runtime(t)
	must(t, cni.GetStatusNetworkList(t.Context(), network))
	_, err = cni.AddNetworkList(t.Context(), network, runtimeConf(kept, nil))
	must(t, err)
	unchangedBut(t, "ADD and GC", withoutPod(forgotten.Name), func() {
		_, err := cni.AddNetworkList(t.Context(), network, runtimeConf(forgotten, nil))
		must(t, err)
		// With a separate cache, because the library would call DEL for cached attachments.
		must(t, runtime(t).GCNetworkList(t.Context(), network, &libcni.GCArgs{
			ValidAttachments: []types.GCAttachment{{ContainerID: kept.ContainerID, IfName: "eth0"}},
		}))
	})
	must(t, cni.CheckNetworkList(t.Context(), network, runtimeConf(kept, nil)))
}
