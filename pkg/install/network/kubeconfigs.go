// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"calico-cni/conflist"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
)

// CheckKubeconfigs checks the kubeconfigs that a template names, except the one that install writes. It rejects one
// that the plugins cannot use, and logs one that is not visible in the container.
func (l *List) CheckKubeconfigs() error {
	rendered, err := l.renderRedacted()
	if err != nil {
		return err
	}
	named, err := namedKubeconfigs(l.Name, rendered, l.values.Kubeconfig)
	if err != nil {
		return err
	}
	for _, path := range named {
		mounted := mounted(l.Options, path)
		data, err := safeopen.ReadRegular(mounted)
		if errors.Is(err, fs.ErrNotExist) {
			l.Log.Warn("kubeconfig of the network configuration cannot be checked: it does not exist, "+
				"or its directory is not mounted", "kubeconfig", path, "mounted_at", mounted)
			continue
		} else if err != nil {
			return err
		}
		// The files that it names are paths of the host, which may be missing here.
		if err := kube.CheckKubeconfig(data, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: the network configuration names a kubeconfig that the plugins cannot use: %w; correct it, "+
				"or use the placeholder __KUBECONFIG_FILEPATH__ for the one that install writes", fault.ErrConfig, err)
		}
	}
	return nil
}

// namedKubeconfigs returns the paths on the host of the kubeconfigs that the plugins in a rendered configuration name,
// without own.
func namedKubeconfigs(name string, rendered []byte, own string) ([]string, error) {
	list, err := conflist.Load(name, rendered)
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", name, err)
	}
	var named []string
	for _, p := range list.Plugins {
		if !usesPlugin(p) {
			continue
		}
		// Check validates the rest with the plugins' parser.
		conf, _ := netconf.ParseForRelease(p.Bytes)
		path := conf.Kubernetes.Kubeconfig
		if filepath.IsAbs(path) && filepath.Clean(path) != filepath.Clean(own) && !slices.Contains(named, path) {
			named = append(named, path)
		}
	}
	return named, nil
}

// mounted returns where a path of the host is mounted in the container.
func mounted(o Options, path string) string {
	if below, ok := strings.CutPrefix(filepath.Clean(path), filepath.Clean(o.HostDir)+"/"); ok {
		return o.Dir.Path(below)
	}
	return filepath.Join(o.HostRoot, path)
}
