package install

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/containernetworking/cni/libcni"

	"calico-cni/conflist"
	"calico-cni/internal/atomicfile"
)

// network is the network configuration as it shall be.
type network struct {
	path string
	data []byte
	mode fs.FileMode
	// base is what a chained list was when data was made of it.
	base []byte
}

// network renders the configuration, with the token that there is.
func (i *installer) network() (network, error) {
	data, err := conflist.Render(i.cfg.ConfName, i.template, i.values)
	if err != nil {
		return network{}, fmt.Errorf("render %s: %w", i.cfg.ConfName, err)
	}
	if i.cfg.ChainInto != "" {
		return i.chained(data)
	}
	return network{path: i.cfg.confPath(), data: data, mode: fileMode}, nil
}

// chained puts our plugins of a rendered list into the one that somebody else made, which keeps its mode.
func (i *installer) chained(data []byte) (network, error) {
	n := network{path: i.cfg.confPath()}
	// A link is not followed: it would be replaced, and its owner's list and this one part.
	info, err := os.Lstat(n.path)
	if errors.Is(err, fs.ErrNotExist) {
		return n, fmt.Errorf("find the list to chain into: %w; install the network that makes it first, or unset CNI_CHAIN_INTO", err)
	} else if err != nil {
		return n, err
	}
	if n.mode = info.Mode(); !n.mode.IsRegular() {
		return n, fmt.Errorf("%s is %w; name the list itself in CNI_CHAIN_INTO", n.path, atomicfile.ErrNotRegular)
	}
	if n.base, err = os.ReadFile(n.path); err != nil {
		return n, err
	}
	ours, err := conflist.Plugins(data)
	if err != nil {
		return n, err
	}
	plugin := slices.IndexFunc(ours, func(p json.RawMessage) bool { return typeOf(p) == ourType })
	if plugin < 0 {
		return n, fmt.Errorf("%w: the template has no plugin of type calico to chain into %s", ErrConfig, i.cfg.ChainInto)
	}
	n.data, err = conflist.Chain(n.base, ours[plugin])
	var list *libcni.NetworkConfigList
	if err == nil {
		list, err = conflist.Load(i.cfg.ChainInto, n.data)
	}
	if err != nil {
		// Its owner may be about to write it: what is ours is right, and trying again may help.
		return n, fmt.Errorf("chain into %s: %w: %w", i.cfg.ChainInto, ErrOthersList, err)
	}
	if err := accept(list); err != nil {
		return n, fmt.Errorf("chain into %s: %w", i.cfg.ChainInto, err)
	}
	return n, nil
}

// ourType is the plugin that is chained into the lists of others, and taken out of them.
const ourType = "calico"

func typeOf(plugin []byte) string {
	p, err := libcni.NetworkPluginConfFromBytes(plugin)
	if err != nil {
		return ""
	}
	return p.Network.Type
}

// callees returns the name of a configuration's network and what it calls: the types of its plugins and of their IPAM.
func callees(path string) (name string, types []string) {
	data, err := os.ReadFile(path)
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

func (i *installer) conflist(context.Context) error {
	n, err := i.network()
	if err != nil {
		return err
	}
	written, err := i.writeNetwork(n)
	if err != nil {
		return err
	}
	i.deps.Log.Info("network configuration is in place", "path", n.path, "written", written, "chained", i.cfg.ChainInto != "")
	return i.removeFormer()
}

// removeFormer removes what an earlier configuration had called our plugins by: a file of another name, or our plugin in
// other lists. What somebody changed stays, and is logged.
func (i *installer) removeFormer() error {
	u := remover{installer: i}
	err := u.former()
	if len(i.record.Unchain) > 0 && err == nil {
		i.record.Unchain = nil
		err = i.save()
	}
	return err
}

// former takes in a dry run, too, what the configuration leaves no place for.
func (u *remover) former() error {
	now := ""
	if u.cfg.ChainInto != "" {
		now = u.name(u.cfg.confPath())
	}
	u.chainedBefore(now)
	current := u.name(u.cfg.confPath())
	for _, name := range u.record.Unchain {
		if name == current {
			continue
		}
		if err := u.unchain(name); err != nil {
			return err
		}
	}
	return u.owned(func(name string) bool { return isConfig(name) && name != current })
}

// chainedBefore notes which list our plugin is to be in now, and the one before as one to take it out of.
func (i *installer) chainedBefore(now string) {
	if before := i.record.Chained; before != "" && before != now && !slices.Contains(i.record.Unchain, before) {
		i.record.Unchain = append(i.record.Unchain, before)
	}
	i.record.Chained = now
}

// writeNetwork writes a list of ours whole. One of others is replaced only as long as it is what ours was made of.
func (i *installer) writeNetwork(n network) (bool, error) {
	if n.base == nil {
		return i.put(n.path, n.data, n.mode)
	}
	if i.record.Chained != i.name(n.path) {
		i.chainedBefore(i.name(n.path))
		if err := i.save(); err != nil {
			return false, err
		}
	}
	return atomicfile.WriteFile(n.path, n.data, n.mode, func(string) error {
		now, err := os.ReadFile(n.path)
		if err == nil && !bytes.Equal(now, n.base) {
			err = fmt.Errorf("%s was changed meanwhile; installing again takes the change into account", n.path)
		}
		return err
	})
}

// activeConfig names the file that runtimes take of the configuration directory, empty when there is none.
//
// Source: containerd's go-cni and CRI-O's ocicni sort *.conf, *.conflist and *.json by name and take the first.
func (c Config) activeConfig() (string, error) {
	names, err := c.configFiles()
	if err != nil || len(names) == 0 {
		return "", err
	}
	return names[0], nil
}

// configFiles names the files of the configuration directory that a runtime reads, in its order.
func (c Config) configFiles() ([]string, error) {
	paths, err := libcni.ConfFiles(c.netDir(), []string{".conf", ".conflist", ".json"})
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
