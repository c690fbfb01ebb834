// SPDX-License-Identifier: Apache-2.0

package sysctl_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/agent/kernel/sysctl"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var desired = sysctl.Config{Interfaces: []sysctl.Interface{{Name: "cali1", V4: true, V6: true}}, V4: true, V6: true}

// inNode runs a test in a namespace with a workload interface.
func inNode(t *testing.T, test func()) {
	t.Helper()
	nettest.NewNetNS(t).Do(func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "cali1"
		must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "peer"}))
		test()
	})
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("/proc/sys", file))
	must(t, err)
	return strings.TrimSpace(string(data))
}

func TestParametersAreSetOnceAndRepaired(t *testing.T) {
	inNode(t, func() {
		d := sysctl.Driver{Root: "/proc/sys"}
		if r := d.Apply(context.Background(), desired); r.Err != nil || r.Faults != nil || r.Writes == 0 {
			t.Fatalf("report %+v", r)
		}
		want := map[string]string{
			"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1", "net/ipv4/conf/cali1/proxy_arp": "1",
			"net/ipv4/conf/cali1/route_localnet": "1", "net/ipv4/neigh/cali1/proxy_delay": "0",
			"net/ipv6/conf/cali1/proxy_ndp": "1", "net/ipv6/conf/cali1/accept_ra": "0",
			"net/ipv4/conf/cali1/rp_filter": read(t, "net/ipv4/conf/default/rp_filter"),
		}
		for file, value := range want {
			if got := read(t, file); got != value {
				t.Errorf("%s is %s, want %s", file, got, value)
			}
		}
		if r := d.Apply(context.Background(), desired); r.Writes != 0 || r.Faults != nil {
			t.Errorf("a run with nothing changed: %+v", r)
		}
		must(t, os.WriteFile("/proc/sys/net/ipv4/conf/cali1/proxy_arp", []byte("0"), 0))
		if r := d.Apply(context.Background(), desired); r.Writes != 1 || read(t, "net/ipv4/conf/cali1/proxy_arp") != "1" {
			t.Errorf("a changed parameter is not repaired: %+v", r)
		}
	})
}

func TestParametersOfMissingInterfaceWait(t *testing.T) {
	inNode(t, func() {
		d := sysctl.Driver{Root: "/proc/sys"}
		missing := desired
		missing.Interfaces = append([]sysctl.Interface{{Name: "cali9", V4: true}}, desired.Interfaces...)
		r := d.Apply(context.Background(), missing)
		if len(r.Waiting) != 1 || r.Faults != nil || read(t, "net/ipv4/conf/cali1/proxy_arp") != "1" {
			t.Errorf("report %+v", r)
		}
	})
}

func TestPodWithAnySourceHasNoReversePathCheck(t *testing.T) {
	for _, s := range sysctl.OfInterface(sysctl.Interface{Name: "cali1", V4: true, AnySource: true}, "1") {
		if strings.HasSuffix(s.File, "rp_filter") && s.Value != "0" {
			t.Errorf("rp_filter is %s", s.Value)
		}
	}
}

func TestFaultOfOneParameterDoesNotHoldTheOthers(t *testing.T) {
	root := t.TempDir()
	for _, file := range []string{"net/ipv4/ip_forward/is_a_directory", "net/ipv6/conf/all/forwarding"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755))
		must(t, os.WriteFile(filepath.Join(root, file), []byte("0\n"), 0o600))
	}
	r := sysctl.Driver{Root: root}.Apply(context.Background(), sysctl.Config{V4: true, V6: true})
	if len(r.Faults) != 1 || r.Writes != 1 || !strings.Contains(r.Faults[0].Error(), "ip_forward") {
		t.Errorf("report %+v, want a fault that names the parameter, and one write", r)
	}
}
