// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

// onOwnThread runs f in a namespace on a thread that exits afterwards, so that f may drop privileges of its thread.
func onOwnThread(t *testing.T, ns *nettest.NetNS, f func()) {
	t.Helper()
	fd := netnsOf(t, ns)
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		f()
		done <- nil
	}()
	must(t, <-done)
}

// readOnlySysctls mounts /proc/sys read-only at dir, only for the calling thread.
func readOnlySysctls(dir string) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("/proc/sys", dir, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
}

func TestMissingPrivilegeIsReportedWithRemedy(t *testing.T) {
	sysctls, process := t.TempDir(), netnsOfProcess(t)
	for _, c := range []struct {
		name string
		// prepare drops the privilege of the calling thread.
		prepare func() error
		do      func(t *testing.T, d *linux.DataPlane, spec dataplane.Spec) error
		// want lists the parts of the error; NETNS stands for the path of the namespace.
		want []string
	}{
		{
			"Setup without CAP_SYS_ADMIN", func() error { return nettest.DropCapability(unix.CAP_SYS_ADMIN) },
			setupOnly,
			[]string{"enter network namespace NETNS: operation not permitted", "CAP_SYS_ADMIN", "as root"},
		},
		{
			"Admit without CAP_SYS_ADMIN", func() error { return nettest.DropCapability(unix.CAP_SYS_ADMIN) },
			func(t *testing.T, d *linux.DataPlane, spec dataplane.Spec) error {
				_, err := d.Admit(t.Context(), spec)
				return err
			},
			[]string{"enter network namespace NETNS: operation not permitted", "CAP_SYS_ADMIN", "as root"},
		},
		{
			"Check without CAP_SYS_ADMIN", func() error { return nettest.DropCapability(unix.CAP_SYS_ADMIN) },
			func(t *testing.T, d *linux.DataPlane, spec dataplane.Spec) error { return d.Check(t.Context(), spec) },
			[]string{"enter network namespace NETNS: operation not permitted", "CAP_SYS_ADMIN", "as root"},
		},
		{
			"Teardown without CAP_SYS_ADMIN", func() error { return nettest.DropCapability(unix.CAP_SYS_ADMIN) },
			teardownOnly,
			[]string{"enter network namespace NETNS: operation not permitted", "CAP_SYS_ADMIN", "as root"},
		},
		{
			"Setup for a namespace that may not be opened", func() error {
				return nettest.DropCapability(unix.CAP_SYS_PTRACE)
			},
			func(t *testing.T, d *linux.DataPlane, spec dataplane.Spec) error {
				spec.NetNS = process
				return setupOnly(t, d, spec)
			},
			[]string{"open network namespace \"" + process + "\": permission denied", "CAP_SYS_PTRACE", "as root"},
		},
		{
			"Setup without CAP_NET_ADMIN", func() error { return nettest.DropCapability(unix.CAP_NET_ADMIN) },
			setupOnly,
			[]string{"create pair eth0, cali0123456789a: operation not permitted", "CAP_NET_ADMIN", "as root"},
		},
		{
			"Teardown without CAP_NET_ADMIN", nil,
			func(t *testing.T, d *linux.DataPlane, spec dataplane.Spec) error {
				if _, err := d.Setup(t.Context(), spec); err != nil {
					return err
				}
				must(t, nettest.DropCapability(unix.CAP_NET_ADMIN))
				return teardownOnly(t, d, spec)
			},
			[]string{"delete interface eth0: operation not permitted", "CAP_NET_ADMIN", "as root"},
		},
		{
			"Setup with a sysctl to be changed in a read-only /proc/sys", func() error {
				return readOnlySysctls(sysctls)
			},
			func(t *testing.T, _ *linux.DataPlane, spec dataplane.Spec) error {
				return setupOnly(t, linux.New(sysctls), spec)
			},
			[]string{
				filepath.Join(sysctls, "net/ipv6/conf/default/accept_dad"), "to 0", "read-only file system",
				"mounted read-write",
			},
		},
		{
			"Setup where something disables IPv6", nil,
			func(t *testing.T, d *linux.DataPlane, spec dataplane.Spec) error {
				disable := &hook{Context: t.Context(), before: func(int) error {
					if link, err := netlink.LinkByName(hostIfName); err == nil && link.Attrs().Flags&unix.IFF_UP == 0 {
						_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+hostIfName+"/disable_ipv6", []byte("1"), 0)
					}
					return nil
				}}
				_, err := d.Setup(disable, spec)
				return err
			},
			[]string{"add address fe80::ecee:eeff:feee:eeee/64", "IPv6 is disabled on cali0123456789a", "disable_ipv6"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			node, pod := newNode(t), newPod(t)
			spec := specFor(pod, addr4, addr6)
			var err error
			onOwnThread(t, node, func() {
				if c.prepare != nil {
					must(t, c.prepare())
				}
				err = c.do(t, linux.New(""), spec)
			})
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range c.want {
				if part = strings.ReplaceAll(part, "NETNS", spec.NetNS); !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q", err, part)
				}
			}
			if disabled := strings.Contains(c.name, "disables IPv6"); errors.Is(err, dataplane.ErrDenied) == disabled {
				t.Errorf("error %q is an ErrDenied: %t", err, !disabled)
			}
			if n := strings.Count(err.Error(), "as root"); n > 1 {
				t.Errorf("error %q contains the remedy %d times", err, n)
			}
		})
	}
}

// netnsOfProcess returns the path of the network namespace of another process.
func netnsOfProcess(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("sleep", "infinity")
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid)
}

func setupOnly(t *testing.T, d *linux.DataPlane, spec dataplane.Spec) error {
	_, err := d.Setup(t.Context(), spec)
	return err
}

func teardownOnly(t *testing.T, d *linux.DataPlane, spec dataplane.Spec) error {
	_, err := d.Teardown(t.Context(), targetOf(spec))
	return err
}

func TestSetupAcceptsReadOnlySysctlsWithWantedValues(t *testing.T) {
	node, pod := newNode(t), newPod(t)
	for name, value := range map[string]string{
		"ipv4/conf/default/route_localnet": "1", "ipv4/conf/default/proxy_arp": "1",
		"ipv4/conf/default/forwarding": "1",
		"ipv6/conf/default/accept_dad": "0", "ipv6/conf/default/proxy_ndp": "1", "ipv6/conf/default/forwarding": "1",
	} {
		writeSysctl(t, node, name, value)
	}
	for _, conf := range []string{"all", "default", "lo"} {
		writeSysctl(t, pod, "ipv6/conf/"+conf+"/accept_dad", "0")
		writeSysctl(t, pod, "ipv6/conf/"+conf+"/disable_ipv6", "0")
	}
	before := state(t, node)
	d, spec := linux.New(t.TempDir()), specFor(pod, addr4, addr6)
	onOwnThread(t, node, func() {
		dir := t.TempDir()
		must(t, readOnlySysctls(dir))
		d = linux.New(dir)
		if _, err := d.Setup(t.Context(), spec); err != nil {
			t.Error(err)
		}
	})
	must(t, check(t, node, pod, spec))
	must(t, teardown(t, node, d, targetOf(spec)))
	wantSame(t, "host", before, node)
}
