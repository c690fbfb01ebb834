// SPDX-License-Identifier: Apache-2.0

// Package invocation represents one call of a CNI plugin: the input from the runtime, the dependencies on the host, the
// log and the client of the API server.
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

// Directories in which the plugins keep state between calls.
const (
	// DefaultState is for state that need not survive a reboot. The plugins share one file there with Calico's plugin.
	DefaultState = "/var/run/calico/cni"
	// DefaultKeep is for state that must survive a reboot.
	DefaultKeep = "/var/lib/calico/cni"
)

// Host has the dependencies of a plugin on its host.
type Host struct {
	// Now returns the wall-clock time. An administrator may set the clock at any time, so only the validity of
	// certificates depends on it.
	Now func() time.Time
	// Boot returns the time since boot. Nil means the clock of the kernel.
	Boot     func() time.Duration
	ReadFile func(path string) ([]byte, error)
	Hostname func() (string, error)
	// UserAgent identifies the plugin in the audit log of the API server.
	UserAgent string
	// OpenLog returns the log for a configuration.
	OpenLog func(*netconf.NetConf) *slog.Logger
	// NodenameFileOptional allows the nodename file to be missing, whatever the configuration says. An IPAM plugin sets
	// it, because it also serves main plugins that need no node agent.
	NodenameFileOptional bool
	// OnSignal, if not nil, makes a signal cancel the context of the call. It may be called more than once.
	OnSignal func()
	// State and Keep are directories. They are DefaultState and DefaultKeep except in tests.
	State, Keep string
}

// Disk returns the files of node IPAM on this host.
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
		return "", fmt.Errorf("%w: %s does not exist: the node agent writes it; check that the calico-node pod runs on "+
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
