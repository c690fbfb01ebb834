// SPDX-License-Identifier: Apache-2.0

// Package machine runs a Linux machine in namespaces of this one: a first process that keeps services running, a network
// with one uplink, control groups, and a file system that is the host's but for what programs write to. Cutting its power
// ends all that ran on it; its disk stays, for the next boot.
//
// The programs that start machines are also their first processes: they call Main before anything else. They run in a
// sandbox (calico-cni/test/sandbox), whose end is the end of its machines.
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

// uplink is the machine's interface to others.
const uplink = "eth0"

// offTimeout bounds how long the kernel may take to end all that runs on a machine.
const offTimeout = time.Minute

// Spec is what a machine is.
type Spec struct {
	Name string
	// Addrs are those of the uplink, Gateways where its default routes lead.
	Addrs    []netip.Prefix
	Gateways []netip.Addr
	// Bridge is the link of the caller's network namespace that the uplink is connected to.
	Bridge string
	// Disk is a directory for what the machine writes to /etc, /opt, /var/lib and /var/log. It outlives a boot.
	Disk string
	// Sysctls are settings of the whole kernel that services would change, by their path below /proc/sys, with the values
	// that they are after. The machine sees these; nothing is changed.
	Sysctls map[string]string
	// Files are written at every boot, by absolute name.
	Files map[string]string
	// Env is the services' environment.
	Env []string
	// Services are started in order.
	Services []Service
}

// Service is a program that the machine keeps running. Its log is /var/log/machine/NAME.log.
type Service struct {
	Name string
	Args []string // the first is an absolute path
	// Once says that it is a command: run again until it succeeds, before what follows, and on the first boot alone.
	Once bool
}

// Machine is a machine that has been started.
type Machine struct {
	Spec   Spec
	parent cgroup.Group
	group  cgroup.Group
	cmd    *exec.Cmd
	ended  chan struct{}
	pid    atomic.Int64 // 0 when it is off
}

// New returns a machine that is off. Its control groups will be beneath group.
func New(spec Spec, group cgroup.Group) *Machine {
	return &Machine{Spec: spec, parent: group}
}

// PowerOn boots the machine. Its services come up by and by.
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
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true,
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
	err = errors.Join(m.plug(), json.NewEncoder(stdin).Encode(m.Spec), stdin.Close())
	if err != nil {
		return errors.Join(fmt.Errorf("start machine %s: %w", m.Spec.Name, err), m.PowerOff())
	}
	return nil
}

// plug connects the machine's uplink to the bridge.
func (m *Machine) plug() error {
	bridge, err := netlink.LinkByName(m.Spec.Bridge)
	if err != nil {
		return fmt.Errorf("find bridge: %w", err)
	}
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: m.Spec.Name, MasterIndex: bridge.Attrs().Index, MTU: bridge.Attrs().MTU},
		PeerName:  uplink, PeerMTU: uint32(bridge.Attrs().MTU), PeerNamespace: netlink.NsPid(m.cmd.Process.Pid),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("plug in: %w", err)
	}
	return netlink.LinkSetUp(veth)
}

// PowerOff kills all that runs on the machine at once, as a cut of power does, and waits until it is gone. The disk stays.
// A machine that is off stays so.
func (m *Machine) PowerOff() error {
	if m.ended == nil {
		return nil
	}
	_ = m.cmd.Process.Kill()
	select {
	case <-m.ended:
	case <-time.After(offTimeout):
		return fmt.Errorf("switch off %s: its first process has not ended after %v", m.Spec.Name, offTimeout)
	}
	m.ended = nil
	m.pid.Store(0)
	// The namespace takes its end of the cable along, but in its own time.
	if link, err := netlink.LinkByName(m.Spec.Name); err == nil {
		_ = netlink.LinkDel(link)
	}
	return m.group.Remove()
}

// PID is the process ID of the machine's first process, or 0 when it is off.
func (m *Machine) PID() int { return int(m.pid.Load()) }

// NetNS is the path of the machine's network namespace.
func (m *Machine) NetNS() string { return fmt.Sprintf("/proc/%d/ns/net", m.PID()) }

// Path returns where a file of the machine's disk is for the caller: one beneath /etc, /opt, /var/lib or /var/log.
func (m *Machine) Path(name string) string { return filepath.Join(m.Spec.Disk, name) }
