// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"

	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/hostfile"
)

// AsideSuffix ends the names of configurations that are moved aside. Container runtimes do not read such files.
const AsideSuffix = ".calico-cni-disabled"

// Dir is the configuration directory of a host, as it is mounted.
type Dir string

// Path returns the path of a file in the directory.
func (d Dir) Path(name string) string { return filepath.Join(string(d), name) }

// Configs returns the names of the configurations that a container runtime reads, in its order.
//
// Source: containerd's go-cni and CRI-O's ocicni sort *.conf, *.conflist and *.json by name.
func (d Dir) Configs() ([]string, error) {
	paths, err := libcni.ConfFiles(string(d), []string{".conf", ".conflist", ".json"})
	if err != nil {
		return nil, fmt.Errorf("list network configurations: %w", err)
	}
	names := make([]string, 0, len(paths))
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	slices.Sort(names)
	return names, nil
}

// Active returns the name of the configuration that container runtimes use, the first one. It is empty if there is
// none.
func (d Dir) Active() (string, error) {
	names, err := d.Configs()
	if err != nil || len(names) == 0 {
		return "", err
	}
	return names[0], nil
}

// describeActive describes a configuration that container runtimes use instead of our own, with the remedy.
func (d Dir) describeActive(active, own string) string {
	return fmt.Sprintf("runtimes use %s instead of %s: %s; "+
		"remove it, set CNI_CONF_NAME to a name that sorts before it, or install with --exclusive",
		d.Path(active), own, hostfile.Describe(d.Path(active)))
}

// Aside returns the names of the files that were moved aside.
func (d Dir) Aside() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), AsideSuffix) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// Restore renames the files that were moved aside to their old names, which it returns. It keeps files whose old name
// is taken, and returns their current names. A dry run renames nothing.
func (d Dir) Restore(dry bool) (restored, kept []string, err error) {
	aside, err := d.Aside()
	if err != nil {
		return nil, nil, err
	}
	for _, moved := range aside {
		name := strings.TrimSuffix(moved, AsideSuffix)
		if _, err := os.Lstat(d.Path(name)); err == nil {
			kept = append(kept, moved)
			continue
		}
		if !dry {
			if err := os.Rename(d.Path(moved), d.Path(name)); err != nil {
				return restored, kept, fmt.Errorf("restore %s: %w", name, err)
			}
		}
		restored = append(restored, name)
	}
	return restored, kept, nil
}

// Callers returns the paths of the configurations that use the plugins, without those for which skip returns true.
func (d Dir) Callers(skip func(path string) bool) ([]string, error) {
	names, err := d.Configs()
	var callers []string
	for _, name := range names {
		path := d.Path(name)
		if skip(path) {
			continue
		}
		data, err := safeopen.ReadRegular(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		var config any
		if json.Unmarshal(data, &config) == nil && usesPlugins(config) {
			callers = append(callers, path)
		}
	}
	return callers, err
}

// usesPlugins reports whether a configuration has the type of one of the plugins at any depth. Configurations of
// meta-plugins, such as Multus, contain other configurations.
func usesPlugins(config any) bool {
	switch c := config.(type) {
	case map[string]any:
		kind, _ := c["type"].(string)
		return isPlugin(kind) || slices.ContainsFunc(slices.Collect(maps.Values(c)), usesPlugins)
	case []any:
		return slices.ContainsFunc(c, usesPlugins)
	}
	return false
}
