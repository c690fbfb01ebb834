// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/containernetworking/cni/libcni"

	"calico-cni/conflist"
	"calico-cni/internal/atomicfile"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/hostfile"
	"calico-cni/pkg/install/record"
)

// chain adds the plugin of a rendered list to the list at path, which has the file name and belongs to another program.
// It keeps the mode of that list.
func chain(path, name string, rendered []byte) (Content, error) {
	c := Content{Path: path}
	// A link is rejected: writing would replace it, and the list of the owner would not get the plugin.
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("find the list to chain into: %w; install the network that writes it first, "+
			"or unset CNI_CHAIN_INTO", err)
	} else if err != nil {
		return c, err
	}
	if c.Mode = info.Mode(); !c.Mode.IsRegular() {
		return c, fmt.Errorf("%s is %w; name the list itself in CNI_CHAIN_INTO", path, safeopen.ErrNotRegular)
	}
	if c.base, err = safeopen.ReadRegular(path); err != nil {
		return c, err
	}
	plugin, err := calicoOf(rendered, name)
	if err != nil {
		return c, err
	}
	c.Data, err = conflist.Chain(c.base, plugin)
	var list *libcni.NetworkConfigList
	if err == nil {
		list, err = conflist.Load(name, c.Data)
	}
	if err != nil {
		// Our plugin is valid, and the owner may be about to write the rest: a retry may help.
		return c, fmt.Errorf("chain into %s: %w: %w", name, ErrForeignList, err)
	}
	if err := accept(list); err != nil {
		return c, fmt.Errorf("chain into %s: %w", name, err)
	}
	return c, nil
}

// calicoOf returns the plugin of type calico in a rendered list.
func calicoOf(rendered []byte, target string) (json.RawMessage, error) {
	plugins, err := conflist.Plugins(rendered)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(plugins, func(p json.RawMessage) bool { return typeOf(p) == calicoType })
	if at < 0 {
		return nil, fmt.Errorf("%w: the template has no plugin of type calico to chain into %s", fault.ErrConfig, target)
	}
	return plugins[at], nil
}

func typeOf(plugin []byte) string {
	p, err := libcni.NetworkPluginConfFromBytes(plugin)
	if err != nil {
		return ""
	}
	return p.Network.Type
}

// Unchain removes the plugin from a list that it was added to.
func Unchain(r *record.Remover, path string) error {
	data, err := safeopen.ReadRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	rest, left, err := conflist.Unchain(data, calicoType)
	switch {
	case err != nil:
		r.Leave("%s, which is not a valid list of plugins", path)
		return nil
	case left == 0:
		r.Leave("%s, which has no plugin except calico", path)
		return nil
	case len(rest) == len(data):
		return nil
	}
	r.Take("removed from", path)
	if r.Dry {
		return nil
	}
	_, err = atomicfile.WriteFile(path, rest, info.Mode())
	return err
}

// RemoveFormer removes the configurations of earlier runs: files with another name, and the plugin in other lists. It
// leaves files that have changed.
func (l *List) RemoveFormer(r *record.Remover) error {
	chained := ""
	if l.ChainInto != "" {
		chained = l.Path()
	}
	l.Record.SetChained(chained)
	for _, path := range r.Chained() {
		if path == l.Path() {
			continue
		}
		if err := Unchain(r, path); err != nil {
			return err
		}
	}
	return r.RemoveOwned(func(path string) bool { return hostfile.IsNetworkConfig(path) && path != l.Path() })
}
