// SPDX-License-Identifier: Apache-2.0

package nettest_test

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"calico-cni/internal/nettest"
)

func TestNewNetNSIsEmptyAndSeparate(t *testing.T) {
	outside := netnsOf(t)
	n := nettest.NewNetNS(t)
	var inside string
	n.Do(func() {
		inside = netnsOf(t)
		links, err := net.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(links, func(l net.Interface) bool { return l.Flags&net.FlagUp != 0 }); i >= 0 {
			t.Errorf("a new namespace has %s up", links[i].Name)
		}
	})
	if inside == outside {
		t.Errorf("Do runs in %s, the caller's own namespace", inside)
	}
	if now := netnsOf(t); now != outside {
		t.Errorf("after Do the thread is in %s, want %s", now, outside)
	}
}

func TestPathWorksForOtherPrograms(t *testing.T) {
	n := nettest.NewNetNS(t)
	var inside string
	n.Do(func() { inside = netnsOf(t) })
	out, err := exec.Command("nsenter", "--net="+n.Path, "readlink", "/proc/self/ns/net").CombinedOutput()
	if err != nil {
		t.Fatalf("nsenter: %v: %s", err, out)
	}
	if got := strings.TrimSpace(string(out)); got != inside {
		t.Errorf("nsenter entered %s, want %s", got, inside)
	}
}

func TestRunAndProgramsUseNamespace(t *testing.T) {
	n := nettest.NewNetNS(t)
	var inside string
	n.Do(func() { inside = netnsOf(t) })
	n.Run(t, "subtest", func(t *testing.T) {
		if got := netnsOf(t); got != inside {
			t.Errorf("subtest is in %s, want %s", got, inside)
		}
		out, err := exec.Command("readlink", "/proc/self/ns/net").Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(string(out)); got != inside {
			t.Errorf("program is in %s, want %s", got, inside)
		}
	})
}

func TestDoRestoresNamespaceAfterPanic(t *testing.T) {
	n := nettest.NewNetNS(t)
	outside := netnsOf(t)
	func() {
		defer func() { _ = recover() }()
		n.Do(func() { panic("test") })
	}()
	if now := netnsOf(t); now != outside {
		t.Errorf("after a panic in Do the thread is in %s, want %s", now, outside)
	}
}

func TestDump(t *testing.T) {
	n := nettest.NewNetNS(t)
	n.Do(func() {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			t.Fatal(err)
		}
		addr, err := netlink.ParseAddr("192.0.2.1/32")
		if err != nil {
			t.Fatal(err)
		}
		_, dst, _ := net.ParseCIDR("198.51.100.0/24")
		for _, err := range []error{
			netlink.LinkSetUp(lo),
			netlink.LinkSetMTU(lo, 1400),
			netlink.LinkSetAlias(lo, "a name"),
			netlink.AddrAdd(lo, addr),
			netlink.RouteAdd(&netlink.Route{
				LinkIndex: lo.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_LINK,
				Table: 7,
			}),
			os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0),
			os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0), // Otherwise inherited from the machine.
			os.WriteFile("/proc/sys/net/ipv4/conf/lo/proxy_arp", []byte("1"), 0),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	const want = `sysctl ipv4/ip_forward=0 ipv6/conf/all/forwarding=1 ipv6/conf/all/disable_ipv6=0 ` +
		`ipv6/conf/all/accept_dad=0 ` +
		`ipv6/conf/default/forwarding=1 ipv6/conf/default/disable_ipv6=0 ipv6/conf/default/accept_dad=1
link lo device unknown mtu=1400 queues=1/1 alias="a name"
  addr 127.0.0.1/8 scope=host permanent
  addr 192.0.2.1/32 scope=global permanent
  addr ::1/128 scope=host permanent
  route 198.51.100.0/24 scope=link proto=boot table=7
  sysctl ipv4 forwarding=0 proxy_arp=1 route_localnet=0 proxy_delay=80
  sysctl ipv6 accept_dad=-1 accept_ra=1 disable_ipv6=0 forwarding=1 proxy_ndp=0
`
	if diff := cmp.Diff(want, n.Dump()); diff != "" {
		t.Errorf("dump (-want +got):\n%s", diff)
	}
}

// netnsOf identifies the network namespace of the calling goroutine's thread.
func netnsOf(t *testing.T) string {
	t.Helper()
	name, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return name
}
