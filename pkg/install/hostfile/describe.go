// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"calico-cni/conflist"
	"calico-cni/internal/safeopen"
)

// State compares a file on the host with the desired one.
type State string

// States of files.
const (
	Equal   State = "equal"
	Differs State = "differs"
	Missing State = "missing"
	// Newer is a binary that a newer version of the installer wrote.
	Newer State = "newer"
	// Extended is a network configuration to which other programs added plugins or fields.
	Extended State = "extended"
)

// Difference describes a file that differs from the desired state.
func Difference(path string) string {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return path + " is missing"
	}
	return path + " differs from the desired state: " + Describe(path)
}

// Describe returns mode, size, owner and modification time of a file, and the plugins of a network configuration. The
// kernel does not record which program wrote a file.
func Describe(path string) string {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "missing"
	case err != nil:
		return err.Error()
	}
	uid := "?"
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		uid = fmt.Sprint(s.Uid)
	}
	return fmt.Sprintf("%s, %d bytes, of uid %s, modified %s%s", info.Mode(), info.Size(), uid,
		info.ModTime().UTC().Format("2006-01-02T15:04:05Z"), describeList(path, info))
}

// maxList bounds the network configurations that are parsed for a description, in bytes.
const maxList = 1 << 20

// describeList names the network and the plugins of a network configuration. It quotes no other content, which may be
// secret.
func describeList(path string, info fs.FileInfo) string {
	if !info.Mode().IsRegular() || info.Size() > maxList || !IsNetworkConfig(path) {
		return ""
	}
	name, types := PluginTypes(path)
	if len(types) == 0 {
		return ", not a network configuration"
	}
	return fmt.Sprintf(", network %q of plugins %s", name, strings.Join(types, ", "))
}

// IsNetworkConfig reports whether container runtimes read a file of this name.
//
// Source: containerd's go-cni and CRI-O's ocicni read *.conf, *.conflist and *.json.
func IsNetworkConfig(name string) bool {
	return slices.Contains([]string{".conf", ".conflist", ".json"}, filepath.Ext(name))
}

// PluginTypes returns the name of the network that a file configures, and the types of its plugins and of their IPAM
// plugins. Both are empty if the file is not a network configuration.
func PluginTypes(path string) (name string, types []string) {
	data, err := safeopen.ReadRegular(path)
	if err != nil {
		return "", nil
	}
	list, err := conflist.Load(filepath.Base(path), data)
	if err != nil {
		return "", nil
	}
	for _, p := range list.Plugins {
		types = append(types, p.Network.Type)
		if p.Network.IPAM.Type != "" {
			types = append(types, p.Network.IPAM.Type)
		}
	}
	return list.Name, types
}
