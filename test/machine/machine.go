// SPDX-License-Identifier: Apache-2.0

// Package machine runs simulated Linux machines in namespaces. A machine has a first process that keeps services
// running, a network with one uplink, control groups, and the file system of the host, except for the directories that
// programs write to. Power-off kills all its processes. Its disk is kept for the next boot.
//
// A program that starts machines is also their first process: it calls Main before anything else. It runs in a sandbox
// (calico-cni/test/sandbox), and the machines end with the sandbox.
package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"calico-cni/test/cgroup"
)

// uplink is the interface that connects a machine to the others.
const uplink = "eth0"

// offTimeout limits the time in which the kernel ends all processes of a machine.
const offTimeout = time.Minute

// Spec describes a machine.
type Spec struct {
	Name string
	// Addrs are the addresses of the uplink, Gateways the next hops of its default routes.
	Addrs    []netip.Prefix
	Gateways []netip.Addr
	// Bridge is the link in the caller's network namespace to which the uplink is connected.
	Bridge string
	// Disk is the directory for files that the machine writes to /etc, /opt, /var/lib and /var/log. Reboots keep it.
	Disk string
	// Sysctls are global kernel settings that services would change, by path below /proc/sys. The machine sees these
	// values; the kernel's settings stay unchanged.
	Sysctls map[string]string
	// Files are written at every boot, by absolute path.
	Files map[string]string
	// Env is the environment of the services.
	Env []string
	// Services are started in order.
	Services []Service
}

// Service is a program that the machine keeps running. Its log is /var/log/machine/NAME.log.
type Service struct {
	Name string
	Args []string // Args[0] is an absolute path
	// Once marks a command that runs only at the first boot. It is repeated until it succeeds, before later services
	// start.
	Once bool
}

// Machine is a simulated machine, on or off.
type Machine struct {
	Spec   Spec
	parent cgroup.Group
	group  cgroup.Group
	cmd    *exec.Cmd
	ended  chan struct{}
	pid    atomic.Int64 // 0 if it is off
}

// New returns a machine that is off. PowerOn creates its control groups below group, or none if group is empty.
func New(spec Spec, group cgroup.Group) *Machine {
	return &Machine{Spec: spec, parent: group}
}

// PowerOn boots the machine. It does not wait for the services.
func (m *Machine) PowerOn() (err error) {
	if m.group, err = m.parent.Child(m.Spec.Name); err != nil {
		return err
	}
	if err := os.MkdirAll(m.Spec.Disk, 0o755); err != nil {
		return err
	}
	group, err := json.Marshal(m.group)
	if err != nil {
		return err
	}
	m.cmd = exec.Command("/proc/self/exe")
	m.cmd.Env = append(os.Environ(), stage+"=enter", stage+"_CGROUP="+string(group))
	m.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS |
			syscall.CLONE_NEWIPC,
		Setsid: true,
	}
	stdin, err := m.cmd.StdinPipe()
	if err != nil {
		return err
	}
	console, err := os.OpenFile(m.Spec.Disk+".console", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer console.Close()
	m.cmd.Stdout, m.cmd.Stderr = console, console
	if err := m.cmd.Start(); err != nil {
		return fmt.Errorf("start machine %s: %w", m.Spec.Name, err)
	}
	m.pid.Store(int64(m.cmd.Process.Pid))
	m.ended = make(chan struct{})
	go func() {
		_ = m.cmd.Wait()
		close(m.ended)
	}()
	err = errors.Join(m.connectUplink(), json.NewEncoder(stdin).Encode(m.Spec), stdin.Close())
	if err != nil {
		return errors.Join(fmt.Errorf("start machine %s: %w", m.Spec.Name, err), m.PowerOff())
	}
	return nil
}

// connectUplink connects the machine to the bridge.
func (m *Machine) connectUplink() error {
	bridge, err := netlink.LinkByName(m.Spec.Bridge)
	if err != nil {
		return fmt.Errorf("find bridge: %w", err)
	}
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: m.Spec.Name, MasterIndex: bridge.Attrs().Index, MTU: bridge.Attrs().MTU},
		PeerName:  uplink, PeerMTU: uint32(bridge.Attrs().MTU), PeerNamespace: netlink.NsPid(m.cmd.Process.Pid),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("create uplink: %w", err)
	}
	return netlink.LinkSetUp(veth)
}

// PowerOff kills all processes of the machine at once, like a power failure, and waits until they have ended. The disk
// is kept. PowerOff of a machine that is off does nothing.
func (m *Machine) PowerOff() error {
	if m.ended == nil {
		return nil
	}
	_ = m.cmd.Process.Kill()
	select {
	case <-m.ended:
	case <-time.After(offTimeout):
		return fmt.Errorf("power off %s: its first process has not ended after %v", m.Spec.Name, offTimeout)
	}
	m.ended = nil
	m.pid.Store(0)
	// The kernel removes the uplink with the namespace, but some time later.
	if link, err := netlink.LinkByName(m.Spec.Name); err == nil {
		_ = netlink.LinkDel(link)
	}
	return m.group.Remove()
}

// PID returns the process ID of the machine's first process, or 0 if the machine is off.
func (m *Machine) PID() int { return int(m.pid.Load()) }

// NetNS returns the path of the machine's network namespace.
func (m *Machine) NetNS() string { return fmt.Sprintf("/proc/%d/ns/net", m.PID()) }

// Path returns the path at which the caller finds a file of the machine below /etc, /opt, /var/lib or /var/log.
func (m *Machine) Path(name string) string { return filepath.Join(m.Spec.Disk, name) }
