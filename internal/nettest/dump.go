// SPDX-License-Identifier: Apache-2.0

package nettest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Dump returns the state of the namespace as text, which is equal for equal states: the sysctls that a data plane
// changes, and each link with its addresses, routes of both families, permanent neighbours and sysctls. It omits
// interface indexes, learned neighbours, and the local table, which follows from the addresses.
func (n *NetNS) Dump() string {
	n.tb.Helper()
	var out string
	n.Do(func() {
		h, err := netlink.NewHandleAt(netns.NsHandle(n.fd), unix.NETLINK_ROUTE)
		if err != nil {
			n.tb.Fatalf("open netlink: %v", err)
		}
		defer h.Close()
		// A dump that a concurrent change interrupted is inconsistent. Repeat it.
		for err = netlink.ErrDumpInterrupted; errors.Is(err, netlink.ErrDumpInterrupted); {
			out, err = dump(h)
		}
		if err != nil {
			n.tb.Fatalf("dump network namespace: %v", err)
		}
	})
	return out
}

func dump(h *netlink.Handle) (string, error) {
	links, err := h.LinkList()
	if err != nil {
		return "", fmt.Errorf("list links: %w", err)
	}
	links = slices.DeleteFunc(links, isFallbackTunnel)
	slices.SortFunc(links, func(a, b netlink.Link) int { return strings.Compare(a.Attrs().Name, b.Attrs().Name) })

	var b strings.Builder
	fmt.Fprintf(&b, "sysctl%s\n", sysctls("net", "ipv4/ip_forward",
		"ipv6/conf/all/forwarding", "ipv6/conf/all/disable_ipv6", "ipv6/conf/all/accept_dad",
		"ipv6/conf/default/forwarding", "ipv6/conf/default/disable_ipv6", "ipv6/conf/default/accept_dad"))
	for _, link := range links {
		fmt.Fprintln(&b, describe(link))
		for _, list := range []func(*netlink.Handle, netlink.Link) ([]string, error){addrs, routes, neighbours} {
			lines, err := list(h, link)
			if err != nil {
				return "", err
			}
			slices.Sort(lines)
			for _, line := range lines {
				fmt.Fprintln(&b, "  "+line)
			}
		}
		name := link.Attrs().Name
		fmt.Fprintf(&b, "  sysctl ipv4%s%s\n",
			sysctls("net/ipv4/conf/"+name, "forwarding", "proxy_arp", "route_localnet"),
			sysctls("net/ipv4/neigh/"+name, "proxy_delay"))
		fmt.Fprintf(&b, "  sysctl ipv6%s\n",
			sysctls("net/ipv6/conf/"+name, "accept_dad", "accept_ra", "disable_ipv6", "forwarding", "proxy_ndp"))
	}
	return b.String(), nil
}

// isFallbackTunnel reports whether a link is a tunnel device that some kernels create in each new namespace, depending
// on the loaded modules.
func isFallbackTunnel(link netlink.Link) bool {
	return slices.Contains([]string{
		"tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0",
	}, link.Attrs().Name)
}

func describe(link netlink.Link) string {
	a := link.Attrs()
	line := fmt.Sprintf("link %s %s %s mtu=%d queues=%d/%d", a.Name, link.Type(), a.OperState, a.MTU, a.NumTxQueues,
		a.NumRxQueues)
	if a.Name != "lo" {
		line += " mac=" + a.HardwareAddr.String()
	}
	if a.Alias != "" {
		line += fmt.Sprintf(" alias=%q", a.Alias)
	}
	return line
}

func addrs(h *netlink.Handle, link netlink.Link) ([]string, error) {
	list, err := h.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", link.Attrs().Name, err)
	}
	var lines []string
	for _, a := range list {
		scope := netlink.Scope(a.Scope).String()
		if a.Scope == int(netlink.SCOPE_UNIVERSE) {
			scope = "global" // The universe scope is called global for addresses.
		}
		line := fmt.Sprintf("addr %s scope=%s", a.IPNet, scope)
		for _, f := range []struct {
			bit  int
			name string
		}{
			{unix.IFA_F_PERMANENT, "permanent"},
			{unix.IFA_F_NODAD, "nodad"},
			{unix.IFA_F_TENTATIVE, "tentative"},
			{unix.IFA_F_DADFAILED, "dadfailed"},
			{unix.IFA_F_DEPRECATED, "deprecated"},
		} {
			if a.Flags&f.bit != 0 {
				line += " " + f.name
			}
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func routes(h *netlink.Handle, link netlink.Link) ([]string, error) {
	var lines []string
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		filter := &netlink.Route{LinkIndex: link.Attrs().Index, Table: unix.RT_TABLE_UNSPEC}
		list, err := h.RouteListFiltered(family, filter, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
		if err != nil {
			return nil, fmt.Errorf("list routes of %s: %w", link.Attrs().Name, err)
		}
		for _, r := range list {
			if r.Table != unix.RT_TABLE_LOCAL {
				lines = append(lines, describeRoute(family, r))
			}
		}
	}
	return lines, nil
}

func describeRoute(family int, r netlink.Route) string {
	line := "route"
	if family == netlink.FAMILY_V6 {
		line += "6"
	}
	if isDefault(r) {
		line += " default"
	} else {
		line += " " + r.Dst.String()
	}
	if r.Gw != nil {
		line += " via " + r.Gw.String()
	}
	line += fmt.Sprintf(" scope=%s proto=%s", r.Scope, r.Protocol)
	if r.Priority != 0 {
		line += fmt.Sprintf(" metric=%d", r.Priority)
	}
	if r.Table != unix.RT_TABLE_MAIN {
		line += fmt.Sprintf(" table=%d", r.Table)
	}
	return line
}

func isDefault(r netlink.Route) bool {
	if r.Dst == nil {
		return true
	}
	ones, _ := r.Dst.Mask.Size()
	return ones == 0
}

func neighbours(h *netlink.Handle, link netlink.Link) ([]string, error) {
	list, err := h.NeighList(link.Attrs().Index, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list neighbours of %s: %w", link.Attrs().Name, err)
	}
	var lines []string
	for _, n := range list {
		if n.State&netlink.NUD_PERMANENT != 0 {
			lines = append(lines, fmt.Sprintf("neigh %s %s permanent", n.IP, n.HardwareAddr))
		}
	}
	return lines, nil
}

// sysctls reads the named sysctls under dir in the calling thread's namespace. An absent one is shown as "-".
func sysctls(dir string, names ...string) string {
	var b strings.Builder
	for _, name := range names {
		value := "-"
		if data, err := os.ReadFile(filepath.Join("/proc/sys", dir, name)); err == nil {
			value = strings.TrimSpace(string(data))
		}
		fmt.Fprintf(&b, " %s=%s", name, value)
	}
	return b.String()
}
