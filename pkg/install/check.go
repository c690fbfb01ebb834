package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"calico-cni/conflist"
	"calico-cni/internal/atomicfile"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
)

// check refuses what a later step would refuse, and writes nothing: a node keeps the files that work until all of the new
// ones can be had.
func (i *installer) check(ctx context.Context) error {
	if err := i.checkBinaries(ctx); err != nil {
		return err
	}
	if _, err := i.ownNodeFiles(); err != nil {
		return err
	}
	// The token is requested once everything else is known to be right.
	if _, err := i.usableKubeconfig("unknown"); err != nil {
		return err
	}
	for _, path := range []string{i.cfg.kubeconfigPath(), i.cfg.confPath()} {
		if err := replaceable(path); err != nil {
			return err
		}
	}
	return i.checkNamedKubeconfigs()
}

// checkBinaries wants a directory that holds the binaries or can take them, and binaries that answer VERSION.
func (i *installer) checkBinaries(ctx context.Context) error {
	wanted, err := i.wanted()
	if err != nil {
		return err
	}
	possible := false
	var missing []string
	var closed error
	for _, dir := range i.cfg.binDirs() {
		if err := directory(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		lacking, err := i.lacking(dir, wanted)
		if err != nil {
			return err
		}
		denied := syscall.Access(dir, writable)
		possible = possible || denied == nil || len(lacking) == 0
		if denied == nil {
			missing = append(missing, lacking...)
		} else if len(lacking) > 0 {
			closed = errors.Join(closed, fmt.Errorf("%s lacks %s and cannot be written: %w", dir, strings.Join(lacking, ", "), denied))
		}
	}
	if !possible && closed != nil {
		return fmt.Errorf("%w: %w", i.noBinaries(), closed)
	} else if !possible {
		return i.noBinaries()
	}
	for _, b := range wanted {
		if !slices.Contains(plugins, b.name) || !slices.Contains(missing, b.name) {
			continue
		}
		// A container may run the files of its image. One that may not is found out by the check of the copy.
		if err := i.checkVersion(ctx, b.name, b.path); err != nil {
			return err
		}
	}
	return nil
}

// replaceable returns an error when a path is taken by something that a file cannot replace.
func replaceable(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular() && info.Mode().Type() != fs.ModeSymlink:
		return fmt.Errorf("%s is %w but %s; move it away", path, atomicfile.ErrNotRegular, info.Mode())
	}
	return nil
}

// checkNamedKubeconfigs looks at the kubeconfigs that a template names beside ours. One that is there and that the plugins
// cannot use is refused; one that cannot be seen from here is logged.
func (i *installer) checkNamedKubeconfigs() error {
	named, err := i.namedKubeconfigs()
	if err != nil {
		return err
	}
	for _, path := range named {
		mounted := i.mounted(path)
		data, err := os.ReadFile(mounted)
		if errors.Is(err, fs.ErrNotExist) {
			i.deps.Log.Warn("kubeconfig of the network configuration cannot be checked: it is not there, or its directory is not mounted",
				"kubeconfig", path, "looked_at", mounted)
			continue
		} else if err != nil {
			return err
		}
		// Files that it names are paths of the host, which need not exist here.
		if err := kube.CheckKubeconfig(data, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: the network configuration names a kubeconfig that the plugins cannot use: %w; "+
				"correct it, or use the placeholder __KUBECONFIG_FILEPATH__ for the one that install writes", ErrConfig, err)
		}
	}
	return nil
}

// namedKubeconfigs are the paths, as the host has them, that plugins of ours in the configuration name, but for ours.
func (i *installer) namedKubeconfigs() ([]string, error) {
	v := i.values
	v.Token = "redacted"
	data, err := conflist.Render(i.cfg.ConfName, i.template, v)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", i.cfg.ConfName, err)
	}
	list, err := conflist.Load(i.cfg.ConfName, data)
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", i.cfg.ConfName, err)
	}
	var named []string
	for _, p := range list.Plugins {
		if !isOurs(p) {
			continue
		}
		// tryConflist has the plugins' own parser judge the rest.
		conf, _ := netconf.ParseForRelease(p.Bytes)
		path := conf.Kubernetes.Kubeconfig
		if filepath.IsAbs(path) && filepath.Clean(path) != filepath.Clean(i.cfg.HostKubeconfig()) && !slices.Contains(named, path) {
			named = append(named, path)
		}
	}
	return named, nil
}

// mounted is where a path of the host is seen from here.
func (i *installer) mounted(path string) string {
	if below, ok := strings.CutPrefix(filepath.Clean(path), filepath.Clean(i.cfg.NetDir)+"/"); ok {
		return filepath.Join(i.cfg.netDir(), below)
	}
	return filepath.Join(i.cfg.HostRoot, path)
}
