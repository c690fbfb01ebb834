// SPDX-License-Identifier: Apache-2.0

package conntrack_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/agent/kernel/conntrack"
	"calico-cni/pkg/netstate"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func local(addr, ifName string) netstate.Route {
	a := netip.MustParseAddr(addr)
	return netstate.Route{Dest: netip.PrefixFrom(a, a.BitLen()), Type: netstate.Unicast, Dev: ifName}
}

// recorder records the addresses of each call, and fails while err is set.
type recorder struct {
	calls []string
	err   error
}

func (r *recorder) Delete(addrs map[netip.Addr]bool) (int, error) {
	var names []string
	for a := range addrs {
		names = append(names, a.String())
	}
	slices.Sort(names)
	r.calls = append(r.calls, strings.Join(names, " "))
	return len(names), r.err
}

func TestEntriesOfRemovedAndMovedAddressesAreDeletedOnce(t *testing.T) {
	r := &recorder{}
	d := conntrack.Driver{Kernel: r, Workloads: []string{"cali"}}
	block := netstate.Route{Dest: netip.MustParsePrefix("10.1.0.0/26"), Type: netstate.Blackhole}
	remote := local("10.2.0.1", "vxlan.calico")
	states := [][]netstate.Route{
		{local("10.1.0.1", "cali1"), local("10.1.0.2", "cali2"), local("fd00::1", "cali1"), block, remote},
		{local("10.1.0.1", "cali1"), local("10.1.0.2", "cali2"), local("fd00::1", "cali1")},
		{local("10.1.0.1", "cali3"), local("10.1.0.2", "cali2")},
		{local("10.1.0.1", "cali3")},
		{local("10.1.0.1", "cali3")},
	}
	for i, want := range []string{"", "", "10.1.0.1 fd00::1", "10.1.0.2", ""} {
		r.calls = nil
		if report := d.Apply(context.Background(), states[i]); report.Err != nil {
			t.Fatal(report.Err)
		}
		if got := strings.Join(r.calls, ";"); got != want {
			t.Errorf("run %d deletes the entries of %q, want %q", i, got, want)
		}
	}
}

func TestFailedDeletionIsRepeated(t *testing.T) {
	r := &recorder{}
	d := conntrack.Driver{Kernel: r, Workloads: []string{"cali"}}
	d.Apply(context.Background(), []netstate.Route{local("10.1.0.1", "cali1"), local("10.1.0.2", "cali2")})
	r.err = errors.New("refused")
	if report := d.Apply(context.Background(), []netstate.Route{local("10.1.0.2", "cali2")}); report.Err == nil {
		t.Error("the error of the kernel is not reported")
	}
	r.err = nil
	d.Apply(context.Background(), nil)
	d.Apply(context.Background(), nil)
	if got, want := strings.Join(r.calls, ";"), "10.1.0.1;10.1.0.1 10.1.0.2"; got != want {
		t.Errorf("deletions %q, want %q", got, want)
	}
}

// flow adds an entry. The reply comes from replier, which differs from the destination after a translation.
func flow(t *testing.T, h *netlink.Handle, source, dest, replier string, port uint16) {
	t.Helper()
	from, to, back := net.ParseIP(source), net.ParseIP(dest), net.ParseIP(replier)
	family := uint8(unix.AF_INET6)
	if from.To4() != nil {
		from, to, back, family = from.To4(), to.To4(), back.To4(), unix.AF_INET
	}
	must(t, h.ConntrackCreate(netlink.ConntrackTable, netlink.InetFamily(family), &netlink.ConntrackFlow{
		FamilyType: family, TimeOut: 300,
		Forward: netlink.IPTuple{SrcIP: from, DstIP: to, SrcPort: port, DstPort: 53, Protocol: unix.IPPROTO_UDP},
		Reverse: netlink.IPTuple{SrcIP: back, DstIP: from, SrcPort: 53, DstPort: port, Protocol: unix.IPPROTO_UDP},
	}))
}

func TestKernelDeletesEntriesOfBothDirections(t *testing.T) {
	ns := nettest.NewNetNS(t)
	ns.Do(func() {
		h, err := netlink.NewHandle(unix.NETLINK_NETFILTER)
		must(t, err)
		defer h.Close()
		n, err := conntrack.Open()
		must(t, err)
		defer n.Close()
		flow(t, h, "10.1.0.1", "192.0.2.1", "192.0.2.1", 1000)
		flow(t, h, "192.0.2.1", "198.51.100.1", "10.1.0.1", 1001)
		flow(t, h, "192.0.2.2", "10.1.0.2", "10.1.0.2", 1002)
		flow(t, h, "fd00::1", "fd00::9", "fd00::9", 1003)
		flow(t, h, "fd00::2", "fd00::9", "fd00::9", 1004)
		deleted, err := n.Delete(map[netip.Addr]bool{
			netip.MustParseAddr("10.1.0.1"): true, netip.MustParseAddr("fd00::1"): true, netip.MustParseAddr("10.9.9.9"): true,
		})
		must(t, err)
		if deleted != 3 {
			t.Errorf("%d entries deleted, want 3", deleted)
		}
		data, err := os.ReadFile("/proc/thread-self/net/nf_conntrack")
		must(t, err)
		for port, want := range map[string]bool{"1000": false, "1001": false, "1002": true, "1003": false, "1004": true} {
			if got := strings.Contains(string(data), "sport="+port); got != want {
				t.Errorf("entry with port %s: exists %v, want %v", port, got, want)
			}
		}
	})
}
