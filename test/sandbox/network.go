// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Addresses of the node on its uplink.
var (
	Node4 = netip.MustParseAddr("192.0.2.10")
	Node6 = netip.MustParseAddr("2001:db8::10")
)

// netnsDir is the directory in which container runtimes mount network namespaces.
const netnsDir = "/run/netns"

// Network sets up the node's network: loopback, and the uplink eth0 with an address of each family and a default route
// to a namespace that represents the rest of the network.
func Network() error {
	world, err := NewNetNS("world")
	if err != nil {
		return err
	}
	h, err := netns.GetFromPath(world)
	if err != nil {
		return fmt.Errorf("open namespace: %w", err)
	}
	defer func() { _ = h.Close() }()
	if err := up("lo"); err != nil {
		return err
	}
	uplink := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(h),
	}
	if err := netlink.LinkAdd(uplink); err != nil {
		return fmt.Errorf("create uplink: %w", err)
	}
	if err := configurePeer(h); err != nil {
		return err
	}
	for addr, bits := range map[netip.Addr]int{Node4: 24, Node6: 64} {
		if err := addAddr(uplink, netip.PrefixFrom(addr, bits)); err != nil {
			return err
		}
	}
	if err := up("eth0"); err != nil {
		return err
	}
	for _, gateway := range []string{"192.0.2.1", "2001:db8::1"} {
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: uplink.Index, Gw: net.ParseIP(gateway)}); err != nil {
			return fmt.Errorf("add default route via %s: %w", gateway, err)
		}
	}
	return nil
}

// configurePeer configures the other end of the uplink.
func configurePeer(h netns.NsHandle) error {
	nl, err := netlink.NewHandleAt(h)
	if err != nil {
		return fmt.Errorf("open netlink in namespace: %w", err)
	}
	defer nl.Close()
	link, err := nl.LinkByName("eth0")
	if err != nil {
		return fmt.Errorf("find other end of uplink: %w", err)
	}
	for _, addr := range []string{"192.0.2.1/24", "2001:db8::1/64"} {
		a, err := netlink.ParseAddr(addr)
		if err != nil {
			return fmt.Errorf("parse %s: %w", addr, err)
		}
		a.Flags = unix.IFA_F_NODAD
		if err := nl.AddrAdd(link, a); err != nil {
			return fmt.Errorf("add %s to other end of uplink: %w", addr, err)
		}
	}
	if err := nl.LinkSetUp(link); err != nil {
		return fmt.Errorf("set other end of uplink up: %w", err)
	}
	return nil
}

// NewNetNS creates a network namespace and returns the path of its mount. Its loopback interface is down.
func NewNetNS(name string) (string, error) {
	path := filepath.Join(netnsDir, name)
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return "", fmt.Errorf("create namespace %s: %w", name, err)
	}
	if err := os.WriteFile(path, nil, 0o444); err != nil {
		return "", fmt.Errorf("create namespace %s: %w", name, err)
	}
	done := make(chan error)
	go func() {
		// The thread is never unlocked, so that it ends with the goroutine.
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), path, "", unix.MS_BIND, "")
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return "", fmt.Errorf("create namespace %s: %w", name, err)
	}
	return path, nil
}

// RemoveNetNS unmounts a namespace of NewNetNS. The kernel removes it with its links if no process uses it.
func RemoveNetNS(path string) error {
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("remove namespace %s: %w", path, err)
	}
	return os.Remove(path)
}

func addAddr(link netlink.Link, p netip.Prefix) error {
	network := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
	a := &netlink.Addr{IPNet: network, Flags: unix.IFA_F_NODAD}
	if p.Addr().Is4() {
		a.Flags = 0
	}
	if err := netlink.AddrAdd(link, a); err != nil {
		return fmt.Errorf("add %s to uplink: %w", p, err)
	}
	return nil
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}
