// SPDX-License-Identifier: Apache-2.0

// Package invocation is one call of a CNI plugin: what the runtime passes, what the host provides, the log and the
// client of the API server.
package invocation

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"calico-cni/internal/bootclock"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
)

// Directories in which the plugins keep state from one call to the next.
const (
	// DefaultState is for state that need not survive a reboot. Calico's plugin has a file here that this one reads and
	// writes.
	DefaultState = "/var/run/calico/cni"
	// DefaultKeep is for state that must survive a reboot.
	DefaultKeep = "/var/lib/calico/cni"
)

// Host is what a plugin takes from the host that it runs on.
type Host struct {
	// Now is the wall clock. An administrator may set it at any time: it decides only whether a certificate is valid.
	Now func() time.Time
	// Boot is the time since boot; nil stands for the kernel's.
	Boot     func() time.Duration
	ReadFile func(path string) ([]byte, error)
	Hostname func() (string, error)
	// UserAgent is what the API server's audit log shows.
	UserAgent string
	// OpenLog returns the log for a configuration, nil for one that could not be read.
	OpenLog func(*netconf.NetConf) *slog.Logger
	// NodenameFileOptional allows the nodename file to be missing, whatever the configuration says. An IPAM plugin sets
	// it, because it also serves main plugins that need no node agent.
	NodenameFileOptional bool
	// OnSignal, if not nil, makes a signal cancel the context of the call. It may be called more than once.
	OnSignal func()
	// State and Keep are directories, DefaultState and DefaultKeep outside of tests.
	State, Keep string
}

// Disk is the state of node IPAM on this host.
func (h Host) Disk() nodeipam.Disk {
	return nodeipam.Disk{State: h.State, Keep: h.Keep, Now: h.Now, Boot: h.boot}
}

func (h Host) boot() time.Duration {
	if h.Boot == nil {
		return bootclock.Now()
	}
	return h.Boot()
}

// ErrNodeNotReady says that a prerequisite on the node is missing or invalid. A retry succeeds once the node agent
// provides it.
var ErrNodeNotReady = errors.New("node is not ready")

// NodeName returns the name of the Kubernetes node. The node agent writes the nodename file once it runs. A missing
// file is therefore an error that wraps ErrNodeNotReady even if the configuration has the name, unless the file is
// optional for the configuration or the plugin.
func (h Host) NodeName(conf *netconf.NetConf) (string, error) {
	data, err := h.ReadFile(conf.NodenameFile)
	switch {
	case conf.NodenameFileOptional || h.NodenameFileOptional:
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: %s does not exist: the node agent writes it; see that the calico-node pod runs on "+
			"this node and mounts /var/lib/calico, or set nodename_file_optional", ErrNodeNotReady, conf.NodenameFile)
	case err != nil:
		return "", fmt.Errorf("%w: read nodename file: %w", ErrNodeNotReady, err)
	}
	for _, name := range []string{conf.Nodename, strings.TrimSpace(string(data)), conf.Hostname} {
		if name != "" {
			return name, nil
		}
	}
	name, err := h.Hostname()
	name = strings.ToLower(strings.TrimSpace(name))
	if err == nil && name == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("read host name: %w; set nodename in the CNI configuration", err)
	}
	return name, nil
}
