// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"calico-cni/pkg/dataplane"
)

// sysctlTree is the directory of the kernel parameters: /proc/sys except in tests.
type sysctlTree string

// sysctl is one kernel parameter with its desired or actual value.
type sysctl struct {
	// file is relative to the tree.
	file, value string
	// An optional parameter may fail: not every kernel has it, and connectivity does not depend on it.
	optional bool
}

// hostSysctls returns the parameters of the host's end of a pair. It answers immediately (proxy_delay) for every
// address that the pod asks for (proxy_arp, proxy_ndp), forwards packets, makes the host's loopback addresses available
// to the pod (route_localnet), and ignores router advertisements (accept_ra).
func hostSysctls(spec dataplane.Spec) []sysctl {
	v4 := filepath.Join("net/ipv4/conf", spec.HostIfName)
	v6 := filepath.Join("net/ipv6/conf", spec.HostIfName)
	var all []sysctl
	if uses4(spec) {
		all = append(all,
			sysctl{file: v4 + "/route_localnet", value: "1"},
			sysctl{file: filepath.Join("net/ipv4/neigh", spec.HostIfName, "proxy_delay"), value: "0", optional: true},
			sysctl{file: v4 + "/proxy_arp", value: "1"},
			sysctl{file: v4 + "/forwarding", value: "1"})
	}
	if uses6(spec) {
		all = append(all,
			sysctl{file: v6 + "/accept_dad", value: "0"},
			sysctl{file: v6 + "/disable_ipv6", value: "0"},
			sysctl{file: v6 + "/proxy_ndp", value: "1"},
			sysctl{file: v6 + "/forwarding", value: "1"})
	}
	return append(all, sysctl{file: v6 + "/accept_ra", value: "0", optional: true})
}

// podSysctls returns the parameters of the pod for future interfaces. They are set before the pair is created.
func podSysctls(spec dataplane.Spec) []sysctl {
	forwarding := "0"
	if spec.AllowIPForwarding {
		forwarding = "1"
	}
	var all []sysctl
	if uses4(spec) {
		all = append(all, sysctl{file: "net/ipv4/ip_forward", value: forwarding})
	}
	if uses6(spec) {
		for _, conf := range []string{"all", "default", "lo"} {
			dir := filepath.Join("net/ipv6/conf", conf)
			all = append(all,
				sysctl{file: dir + "/accept_dad", value: "0"},
				sysctl{file: dir + "/disable_ipv6", value: "0"})
		}
		all = append(all, sysctl{file: "net/ipv6/conf/all/forwarding", value: forwarding})
	}
	return all
}

// hasIPv6 reports whether the kernel runs IPv6. A kernel booted with ipv6.disable=1 has no such directory.
func (t sysctlTree) hasIPv6() (bool, error) {
	_, err := os.Stat(filepath.Join(string(t), "net/ipv6"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// set writes the parameters in order and stops at the first failure of a parameter that is not optional.
func (t sysctlTree) set(all []sysctl) error {
	for _, s := range all {
		if err := t.write(s); err != nil && !s.optional {
			return err
		}
	}
	return nil
}

// read returns the parameters with their current values.
func (t sysctlTree) read(all []sysctl) ([]sysctl, error) {
	now := make([]sysctl, 0, len(all))
	for _, s := range all {
		data, err := os.ReadFile(filepath.Join(string(t), s.file))
		if err != nil {
			return nil, fmt.Errorf("read sysctl: %w", err)
		}
		s.value = strings.TrimSpace(string(data))
		now = append(now, s)
	}
	return now, nil
}

// write skips a parameter that already has the value. A write to conf/all changes every interface, even if the value is
// the same. Therefore a parameter with the wanted value may be read-only.
func (t sysctlTree) write(s sysctl) (err error) {
	// No O_CREATE: a parameter that the kernel does not have is an error.
	f, err := os.OpenFile(filepath.Join(string(t), s.file), os.O_RDWR, 0)
	if err != nil {
		if now, readErr := t.read([]sysctl{s}); readErr == nil && now[0].value == s.value {
			return nil
		}
		return explainFile(fmt.Errorf("set sysctl to %s: %w", s.value, err), toWrite)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	now, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("read sysctl: %w", err)
	}
	if strings.TrimSpace(string(now)) == s.value {
		return nil
	}
	if _, err := f.WriteAt([]byte(s.value), 0); err != nil {
		return explainFile(fmt.Errorf("set sysctl to %s: %w", s.value, err), toWrite)
	}
	return nil
}
