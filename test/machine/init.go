// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/test/cgroup"
)

// stage is the environment variable with the stage of a machine's first process.
const stage = "CALICO_CNI_MACHINE"

// Main must be called first in every program that starts machines. It never returns in the first process of a machine.
func Main() {
	var err error
	switch os.Getenv(stage) {
	case "":
		return
	case "enter":
		err = enter()
	case "run":
		err = run()
	}
	fmt.Fprintln(os.Stderr, "machine:", err)
	os.Exit(1)
}

// enter joins the control groups of the machine and makes them the root of its cgroup namespace. It then executes the
// program again, because a namespace belongs to a thread, and all threads of a new program are in the same namespaces.
func enter() error {
	var group cgroup.Group
	if err := json.Unmarshal([]byte(os.Getenv(stage+"_CGROUP")), &group); err != nil {
		return fmt.Errorf("read control groups: %w", err)
	}
	if err := group.Join(); err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("create cgroup namespace: %w", err)
	}
	if err := os.Setenv(stage, "run"); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

// run sets up the machine from the Spec on standard input and runs its services until it is killed.
func run() error {
	var spec Spec
	if err := json.NewDecoder(os.Stdin).Decode(&spec); err != nil {
		return fmt.Errorf("read spec: %w", err)
	}
	if err := os.Unsetenv(stage); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(spec.Name)); err != nil {
		return fmt.Errorf("set hostname: %w", err)
	}
	for _, step := range []func() error{spec.mount, spec.network, spec.write} {
		if err := step(); err != nil {
			return err
		}
	}
	s := newSupervisor(spec)
	go s.run()
	s.reap()
	return nil
}

// network enables forwarding and configures eth0, which PowerOn has moved here.
func (s Spec) network() error {
	for name, value := range map[string]string{
		"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1",
		"ipv6/conf/all/disable_ipv6": "0", "ipv6/conf/default/disable_ipv6": "0",
		// Most distributions disable strict filtering, because answers may use another path than requests.
		"ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0",
	} {
		if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0o644); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	for _, name := range []string{"lo", uplink} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("set %s up: %w", name, err)
		}
	}
	link, err := netlink.LinkByName(uplink)
	if err != nil {
		return fmt.Errorf("find %s: %w", uplink, err)
	}
	for _, prefix := range s.Addrs {
		if err := addAddr(link, prefix); err != nil {
			return err
		}
	}
	for _, gateway := range s.Gateways {
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway.AsSlice()}); err != nil {
			return fmt.Errorf("add default route via %s: %w", gateway, err)
		}
	}
	return nil
}

// addAddr adds an address that can be used immediately.
func addAddr(link netlink.Link, p netip.Prefix) error {
	a, err := netlink.ParseAddr(p.String())
	if err != nil {
		return fmt.Errorf("parse %s: %w", p, err)
	}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	if err := netlink.AddrAdd(link, a); err != nil {
		return fmt.Errorf("add %s to %s: %w", p, link.Attrs().Name, err)
	}
	return nil
}

// write writes the machine's files.
func (s Spec) write() error {
	for name, content := range s.Files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
