// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"errors"
	"flag"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

var update = flag.Bool("update", false, "write the observed states to testdata")

func TestSetupCreatesExpectedState(t *testing.T) {
	for _, family := range families {
		t.Run(family.name, func(t *testing.T) {
			node, pod := newNode(t), newPod(t)
			spec := specFor(pod, family.addrs...)
			got := mustSetup(t, node, linux.New(""), spec)
			want := dataplane.Endpoint{
				IfName: ifName, HostIfName: hostIfName, Kind: dataplane.Kind(*kind),
				MAC: spec.MAC, MTU: spec.MTU,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("endpoint (-want +got):\n%s", diff)
			}
			golden(t, family.name+".host", node)
			golden(t, family.name+".pod", pod)
		})
	}
}

func golden(t *testing.T, name string, ns *nettest.NetNS) {
	t.Helper()
	path, got := filepath.Join("testdata", name+".txt"), state(t, ns)
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(ofKind(string(want)), ofKind(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// ofKind adapts a state to the kind of pair that the tests use. A netkit pair is created without ARP, and so with an
// accept_dad of -1, which means 0. It always has one queue.
func ofKind(state string) string {
	state = strings.ReplaceAll(state, " veth ", " "+*kind+" ")
	if *kind == string(dataplane.Netkit) {
		state = strings.ReplaceAll(state, "queues=3/3", "queues=1/1")
		state = regexp.MustCompile(`sysctl ipv6 accept_dad=\S+`).ReplaceAllLiteralString(state, "sysctl ipv6")
	}
	return state
}

// A kernel that gives interfaces stable-privacy addresses does not create fe80::ecee:eeff:feee:eeee. A kernel with
// duplicate address detection in conf/all would delay all addresses.
func TestSetupAddsGatewayAddress(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	writeSysctl(t, node, "ipv6/conf/default/addr_gen_mode", "1")
	writeSysctl(t, node, "ipv6/conf/all/accept_dad", "1")
	mustSetup(t, node, linux.New(""), specFor(pod, addr6))
	const want = "addr fe80::ecee:eeff:feee:eeee/64 scope=link permanent nodad\n"
	if got := state(t, node); !strings.Contains(got, want) {
		t.Errorf("host lacks %q:\n%s", want, got)
	}
}

func TestSetupEnablesIPv6InPod(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	for _, conf := range []string{"all", "default", "lo"} {
		writeSysctl(t, pod, "ipv6/conf/"+conf+"/disable_ipv6", "1")
	}
	mustSetup(t, node, linux.New(""), specFor(pod, addr6))
	golden(t, "ipv6.pod", pod)
}

// A write to conf/all changes every interface, even if the value is the same.
func TestSetupKeepsSysctlsOfOtherInterfaces(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	addLink(t, pod, "net1")
	writeSysctl(t, pod, "ipv6/conf/net1/disable_ipv6", "1")
	writeSysctl(t, pod, "ipv6/conf/net1/forwarding", "1")
	mustSetup(t, node, linux.New(""), specFor(pod, addr4, addr6))
	const want = "disable_ipv6=1 forwarding=1 proxy_ndp=0"
	if got := state(t, pod); !strings.Contains(got, want) {
		t.Errorf("net1 has changed, want %q:\n%s", want, got)
	}
}

func TestSetupSetsForwardingInPod(t *testing.T) {
	for _, allow := range []bool{true, false} {
		node, pod := newNode(t), newPod(t)
		before, want := "1", "0"
		if allow {
			before, want = want, before
		}
		writeSysctl(t, pod, "ipv4/ip_forward", before)
		writeSysctl(t, pod, "ipv6/conf/all/forwarding", before)
		spec := specFor(pod, addr4, addr6)
		spec.AllowIPForwarding = allow
		mustSetup(t, node, linux.New(""), spec)
		head, _, _ := strings.Cut(state(t, pod), "\n")
		for _, name := range []string{" ipv4/ip_forward=", " ipv6/conf/all/forwarding="} {
			if !strings.Contains(head, name+want) {
				t.Errorf("AllowIPForwarding %t: want %s%s in: %s", allow, name, want, head)
			}
		}
	}
}

func TestSetupSetsLinkAttributes(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	spec := specFor(pod, addr4)
	spec.MTU, spec.Queues, spec.MAC = 8951, 3, net.HardwareAddr{0x0a, 1, 2, 3, 4, 5}
	endpoint := mustSetup(t, node, linux.New(""), spec)
	for _, end := range []struct {
		ns   *nettest.NetNS
		want string
	}{
		{pod, "link eth0 veth up mtu=8951 queues=3/3 mac=0a:01:02:03:04:05\n"},
		{node, "link " + hostIfName + " veth up mtu=8951 queues=3/3 mac=ee:ee:ee:ee:ee:ee " +
			"alias=\"net.sandbox-1/eth0\"\n"},
	} {
		if got := state(t, end.ns); !strings.Contains(got, ofKind(end.want)) {
			t.Errorf("want %q in:\n%s", end.want, got)
		}
	}
	if endpoint.MTU != 8951 || endpoint.MAC.String() != "0a:01:02:03:04:05" {
		t.Errorf("endpoint has MTU %d, MAC %s", endpoint.MTU, endpoint.MAC)
	}
}

func TestSetupKeepsKernelDefaultsOfLink(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	spec := specFor(pod, addr4)
	spec.MTU, spec.Queues, spec.MAC = 0, 0, nil
	endpoint := mustSetup(t, node, linux.New(""), spec)
	want := ofKind("link eth0 veth up mtu=1500 queues=1/1 mac=" + endpoint.MAC.String() + "\n")
	if got := state(t, pod); !strings.Contains(got, want) {
		t.Errorf("want %q in:\n%s", want, got)
	}
	if len(endpoint.MAC) != 6 || endpoint.MTU != 1500 {
		t.Errorf("endpoint has MTU %d, MAC %s", endpoint.MTU, endpoint.MAC)
	}
}

func TestNoHostRoutes(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	spec := specFor(pod, addr4, addr6)
	spec.NoHostRoutes = true
	mustSetup(t, node, linux.New(""), spec)
	if got := state(t, node); strings.Contains(got, "10.65.0.7") || strings.Contains(got, "fd00:65::7") {
		t.Errorf("host has a route to the pod:\n%s", got)
	}
}

func TestStaleHostInterfaceIsReplaced(t *testing.T) {
	node, old, pod := newNode(t), newPod(t), newPod(t)
	d := linux.New("")
	beforeOld := state(t, old)
	first := specFor(old, addr4)
	mustSetup(t, node, d, first)
	second := specFor(pod, addr4)
	second.Handle = "net.sandbox-2"
	mustSetup(t, node, d, second)
	got := state(t, node)
	if n := strings.Count(got, "link cali"); n != 1 || !strings.Contains(got, `alias="net.sandbox-2/eth0"`) {
		t.Errorf("want one interface, of sandbox-2:\n%s", got)
	}
	if now := state(t, old); strings.Contains(now, "eth0") {
		t.Errorf("the old sandbox still has its interface, before:\n%s\nnow:\n%s", beforeOld, now)
	}
}

func TestSetupKeepsInterfaceWithTakenName(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	addLink(t, pod, ifName, netip.MustParseAddr("192.0.2.1"))
	beforeNode, beforePod := state(t, node), state(t, pod)
	_, err := setup(t.Context(), node, linux.New(""), specFor(pod, addr4, addr6))
	if !errors.Is(err, dataplane.ErrIfNameTaken) {
		t.Errorf("error is %v, want ErrIfNameTaken", err)
	}
	wantSame(t, "host", beforeNode, node)
	wantSame(t, "pod", beforePod, pod)
}

func TestSetupTwiceKeepsRunningSandbox(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	d, spec := linux.New(""), specFor(pod, addr4, addr6)
	mustSetup(t, node, d, spec)
	beforeNode, beforePod := state(t, node), state(t, pod)
	if _, err := setup(t.Context(), node, d, spec); !errors.Is(err, dataplane.ErrIfNameTaken) {
		t.Errorf("error is %v, want ErrIfNameTaken", err)
	}
	wantSame(t, "host", beforeNode, node)
	wantSame(t, "pod", beforePod, pod)
}

func TestSetupWithoutNamespace(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "unmounted")
	must(t, os.WriteFile(plain, nil, 0o600))
	for _, path := range []string{
		filepath.Join(t.TempDir(), "absent"),
		plain,
		filepath.Join(plain, "below-a-file"),
		"/proc/self/ns/uts",
		"",
	} {
		node, pod := newNode(t), newPod(t)
		before := state(t, node)
		spec := specFor(pod, addr4)
		spec.NetNS = path
		if _, err := setup(t.Context(), node, linux.New(""), spec); !errors.Is(err, dataplane.ErrNoNetNS) {
			t.Errorf("%q: error is %v, want ErrNoNetNS", path, err)
		}
		wantSame(t, "host", before, node)
	}
}

func TestSetupRejectsHostNamespace(t *testing.T) {
	node := newNode(t)
	before := state(t, node)
	_, err := setup(t.Context(), node, linux.New(""), specFor(node, addr4))
	if !errors.Is(err, dataplane.ErrHostNetNS) {
		t.Errorf("error is %v, want ErrHostNetNS", err)
	}
	wantSame(t, "host", before, node)
}

func TestSetupRejectsInvalidSpec(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*dataplane.Spec)
	}{
		{"no owner", func(s *dataplane.Spec) { s.Handle = "" }},
		{"long owner", func(s *dataplane.Spec) { s.Handle = strings.Repeat("o", 256) }},
		{"no address", func(s *dataplane.Spec) { s.Addrs = nil }},
		{"zero address", func(s *dataplane.Spec) { s.Addrs = []netip.Addr{{}} }},
		{"mapped address", func(s *dataplane.Spec) { s.Addrs = []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.1")} }},
		{"zoned address", func(s *dataplane.Spec) { s.Addrs = []netip.Addr{netip.MustParseAddr("fe80::1%eth0")} }},
		{"route with host bits", func(s *dataplane.Spec) {
			s.Routes = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}
		}},
		{"no route at all", func(s *dataplane.Spec) { s.Routes = []netip.Prefix{{}} }},
		{"lo", func(s *dataplane.Spec) { s.IfName = "lo" }},
		{"no interface name", func(s *dataplane.Spec) { s.IfName = "" }},
		{"long interface name", func(s *dataplane.Spec) { s.HostIfName = "cali0123456789ab" }},
		{"MTU below that of IPv6", func(s *dataplane.Spec) { s.MTU = 1279 }},
		{"MTU below 0", func(s *dataplane.Spec) { s.MTU = -1 }},
		{"queues below 0", func(s *dataplane.Spec) { s.Queues = -1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			node, pod := newNode(t), newPod(t)
			beforeNode, beforePod := state(t, node), state(t, pod)
			spec := specFor(pod, addr4, addr6)
			c.change(&spec)
			if _, err := setup(t.Context(), node, linux.New(""), spec); err == nil {
				t.Error("Setup accepted the spec")
			}
			wantSame(t, "host", beforeNode, node)
			wantSame(t, "pod", beforePod, pod)
		})
	}
}
