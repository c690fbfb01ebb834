package machine

import (
	"encoding/json"
	"errors"
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

// stage is the environment variable that says how far a machine's first process has come.
const stage = "CALICO_CNI_MACHINE"

// Main must be called first in every program that starts machines. In the first process of a machine it never returns.
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

// enter gives the machine its control groups, as the root of what it sees of them, and runs the program again in there:
// a namespace is a thread's, and only a program that starts anew has all its threads in one.
func enter() error {
	var group cgroup.Group
	if err := json.Unmarshal([]byte(os.Getenv(stage+"_CGROUP")), &group); err != nil {
		return fmt.Errorf("read groups: %w", err)
	}
	if err := group.Join(); err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("make cgroup namespace: %w", err)
	}
	if err := os.Setenv(stage, "run"); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

// run makes the machine from the Spec on standard input and runs its services until it is killed.
func run() error {
	var spec Spec
	if err := json.NewDecoder(os.Stdin).Decode(&spec); err != nil {
		return fmt.Errorf("read spec: %w", err)
	}
	if err := os.Unsetenv(stage); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(spec.Name)); err != nil {
		return fmt.Errorf("set name: %w", err)
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

// mount makes the file system: the host's, with directories of the machine's own where programs write.
func (s Spec) mount() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := cgroup.Mount(); err != nil {
		return err
	}
	if err := mountEtc(s.Disk); err != nil {
		return err
	}
	// What survives a boot.
	for _, dir := range []string{"/opt", "/var/lib", "/var/log"} {
		own := filepath.Join(s.Disk, dir)
		if err := os.MkdirAll(own, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(own, dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	if err := maskSysctls(s.Sysctls); err != nil {
		return err
	}
	// The specification is read: what is hidden here from now on is the rest of the test bed, and other machines' disks.
	for _, dir := range []string{"/run", "/tmp"} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	if err := os.Chmod("/tmp", os.ModeSticky|0o777); err != nil {
		return err
	}
	// Volumes that containers mount are to be seen by the kubelet.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts: %w", err)
	}
	for _, dir := range []string{logDir, runDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// mountEtc lays the machine's own files over the host's /etc.
func mountEtc(disk string) error {
	upper, work := filepath.Join(disk, "etc"), filepath.Join(disk, ".etc")
	for _, dir := range []string{upper, work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	options := "lowerdir=/etc,upperdir=" + upper + ",workdir=" + work
	if err := unix.Mount("overlay", "/etc", "overlay", 0, options); err != nil {
		return fmt.Errorf("mount /etc: %w", err)
	}
	return nil
}

// maskSysctls hides settings that are the whole kernel's behind files with the value that a service would give them: it
// finds them right, and the host's stay as they are.
func maskSysctls(values map[string]string) error {
	for name, value := range values {
		mask, err := os.CreateTemp("", "sysctl-")
		if err != nil {
			return err
		}
		_, err = mask.WriteString(value + "\n")
		if err := errors.Join(err, mask.Close()); err != nil {
			return err
		}
		err = unix.Mount(mask.Name(), filepath.Join("/proc/sys", name), "", unix.MS_BIND, "")
		if err := errors.Join(err, os.Remove(mask.Name())); err != nil {
			return fmt.Errorf("hide setting %s: %w", name, err)
		}
	}
	return nil
}

// network configures eth0, which whoever started the machine has put here, and forwarding.
func (s Spec) network() error {
	for name, value := range map[string]string{
		"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1",
		"ipv6/conf/all/disable_ipv6": "0", "ipv6/conf/default/disable_ipv6": "0",
		// Answers may come another way than questions went, by default so on most distributions.
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

// addAddr adds an address that counts at once.
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
