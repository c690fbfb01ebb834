// SPDX-License-Identifier: Apache-2.0

// Package sysctl keeps kernel parameters of a node in the desired state: those of workload interfaces, which the plugin
// sets and other programs may change, and global ones.
package sysctl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/agent/kernel"
)

// Interface is the host's end of a pod's interface.
type Interface struct {
	Name   string
	V4, V6 bool
	// AnySource is set if the pod may use source addresses other than its own.
	AnySource bool
}

// Config is the desired state.
type Config struct {
	Interfaces []Interface
	// V4 and V6 say which families the node forwards.
	V4, V6 bool
}

// Setting is one kernel parameter with its desired value.
type Setting struct {
	// File is relative to the directory of the kernel parameters.
	File, Value string
	// Optional says that not every kernel has the parameter, and that connectivity does not depend on it.
	Optional bool
}

// Driver keeps kernel parameters in the desired state.
type Driver struct {
	// Root is the directory of the kernel parameters, such as /proc/sys.
	Root string
}

// Apply brings the parameters to the desired state. It writes a parameter only if its value differs. Parameters of an
// interface that does not exist wait for it.
func (d Driver) Apply(ctx context.Context, desired Config) kernel.Report {
	settings := Global(desired.V4, desired.V6)
	report := kernel.Report{}
	for _, i := range desired.Interfaces {
		if !d.exists(i.Name) {
			report.Waiting = append(report.Waiting,
				fmt.Sprintf("kernel parameters of %s: the interface does not exist", i.Name))
			continue
		}
		strict, err := d.read("net/ipv4/conf/default/rp_filter")
		if err != nil {
			return kernel.Failed("read kernel parameters", err)
		}
		settings = append(settings, OfInterface(i, strict)...)
	}
	for _, s := range settings {
		if err := deadline.Cause(ctx); err != nil {
			report.Err = err
			return report
		}
		wrote, err := d.set(s)
		if err != nil && (!s.Optional || !errors.Is(err, fs.ErrNotExist)) {
			report.Faults = append(report.Faults, err)
		}
		if wrote {
			report.Writes++
		}
	}
	return report
}

// Global returns the parameters of the node.
func Global(v4, v6 bool) (all []Setting) {
	if v4 {
		all = append(all, Setting{File: "net/ipv4/ip_forward", Value: "1"})
	}
	if v6 {
		all = append(all, Setting{File: "net/ipv6/conf/all/forwarding", Value: "1"})
	}
	return append(all, Setting{File: "net/netfilter/nf_conntrack_acct", Value: "1", Optional: true})
}

// OfInterface returns the parameters of a workload interface. The plugin sets the same ones, except for the check of
// source addresses. reversePath is the kernel's default for that check.
func OfInterface(i Interface, reversePath string) (all []Setting) {
	v4, v6 := filepath.Join("net/ipv4/conf", i.Name), filepath.Join("net/ipv6/conf", i.Name)
	if i.AnySource {
		reversePath = "0"
	}
	if i.V4 {
		all = append(all,
			Setting{File: v4 + "/route_localnet", Value: "1"},
			Setting{File: filepath.Join("net/ipv4/neigh", i.Name, "proxy_delay"), Value: "0", Optional: true},
			Setting{File: v4 + "/proxy_arp", Value: "1"},
			Setting{File: v4 + "/forwarding", Value: "1"},
			Setting{File: v4 + "/rp_filter", Value: reversePath})
	}
	if i.V6 {
		all = append(all, Setting{File: v6 + "/proxy_ndp", Value: "1"}, Setting{File: v6 + "/forwarding", Value: "1"})
	}
	return append(all, Setting{File: v6 + "/accept_ra", Value: "0", Optional: true})
}

func (d Driver) exists(ifName string) bool {
	return slices.ContainsFunc([]string{"ipv4", "ipv6"}, func(family string) bool {
		_, err := os.Stat(filepath.Join(d.Root, "net", family, "conf", ifName))
		return err == nil
	})
}

func (d Driver) read(file string) (string, error) {
	data, err := os.ReadFile(filepath.Join(d.Root, file))
	return strings.TrimSpace(string(data)), err
}

// set writes a parameter if its value differs.
func (d Driver) set(s Setting) (wrote bool, err error) {
	now, err := d.read(s.File)
	if err != nil {
		return false, fmt.Errorf("read kernel parameter: %w", err)
	}
	if now == s.Value {
		return false, nil
	}
	// No O_CREATE: a parameter that the kernel does not have is an error.
	f, err := os.OpenFile(filepath.Join(d.Root, s.File), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(s.Value)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return false, explain(fmt.Errorf("set kernel parameter %s to %s: %w", s.File, s.Value, err))
	}
	return true, nil
}

// explain adds the remedy to an error of a process that may not write kernel parameters.
func explain(err error) error {
	for _, denied := range []error{unix.EACCES, unix.EPERM, unix.EROFS} {
		if errors.Is(err, denied) {
			return fmt.Errorf("%w: run the node agent privileged, or mount the host's /proc/sys/net read-write", err)
		}
	}
	return err
}
