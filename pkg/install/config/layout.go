// SPDX-License-Identifier: Apache-2.0

package config

import (
	"path/filepath"

	"calico-cni/pkg/install/credentials"
)

// Layout has the paths of the host's directories. HostRoot is where they are mounted in the container. HostNetDir is
// the path of the configuration directory on the host.
type Layout struct{ HostRoot, HostNetDir string }

// NetDir is where the configuration directory is mounted.
func (l Layout) NetDir() string { return filepath.Join(l.HostRoot, "etc/cni/net.d") }

// BinDirs are where the host's binary directories are mounted. Either may be absent.
func (l Layout) BinDirs() []string {
	return []string{filepath.Join(l.HostRoot, "opt/cni/bin"), filepath.Join(l.HostRoot, "secondary-bin-dir")}
}

// NodeFilesDir is where the directory of the node agent's files is mounted.
func (l Layout) NodeFilesDir() string { return filepath.Join(l.HostRoot, "var/lib/calico") }

// RunDir is where the plugins' directory for state of the current boot is mounted.
func (l Layout) RunDir() string { return filepath.Join(l.HostRoot, "var/run/calico/cni") }

// KeepDir is where the plugins' directory for state that survives a reboot is mounted.
func (l Layout) KeepDir() string { return filepath.Join(l.NodeFilesDir(), "cni") }

// QueueDir has the releases that wait for the API server.
func (l Layout) QueueDir() string { return filepath.Join(l.KeepDir(), "pending") }

// ConditionsDir has the conditions that the plugins report, one file per network.
func (l Layout) ConditionsDir() string { return filepath.Join(l.RunDir(), "trouble") }

// Kubeconfig is the path of the plugins' kubeconfig in the container.
func (l Layout) Kubeconfig() string { return filepath.Join(l.NetDir(), credentials.KubeconfigName) }

// HostKubeconfig is the path of the plugins' kubeconfig on the host.
func (l Layout) HostKubeconfig() string {
	return filepath.Join(l.HostNetDir, credentials.KubeconfigName)
}

// ManagedDirs are the directories, as they are mounted, whose files install manages.
func (l Layout) ManagedDirs(nodeFiles bool) []string {
	dirs := append(l.BinDirs(), l.NetDir())
	if nodeFiles {
		dirs = append(dirs, l.NodeFilesDir())
	}
	return dirs
}
