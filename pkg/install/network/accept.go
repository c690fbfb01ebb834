// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"

	"calico-cni/internal/dispatch"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
)

// calicoType is the type of the plugin that is added to the lists of other programs, and removed from them.
const calicoType = "calico"

// isPlugin reports whether a plugin type is one of this project.
func isPlugin(kind string) bool { return kind == calicoType || kind == netconf.CalicoIPAM }

// usesPlugin reports whether a plugin of a list is one of this project, or calls calico-ipam, which then gets the same
// configuration.
func usesPlugin(p *libcni.PluginConfig) bool {
	return isPlugin(p.Network.Type) || p.Network.IPAM.Type == netconf.CalicoIPAM
}

// accept returns an error that wraps fault.ErrConfig if one of the plugins would reject its configuration in the list.
// The plugin gets what the runtime passes: its object, with the name and version of the list.
//
// Source: CNI specification 1.1.0, section 4, "Deriving execution configuration from plugin configuration".
func accept(list *libcni.NetworkConfigList) error {
	if list.CNIVersion != "" && !slices.Contains(dispatch.Versions(), list.CNIVersion) {
		return fmt.Errorf("%w: the plugins do not support cniVersion %q: want one of %s",
			fault.ErrConfig, list.CNIVersion, strings.Join(dispatch.Versions(), ", "))
	}
	for n, p := range list.Plugins {
		if !usesPlugin(p) {
			continue
		}
		stdin, err := libcni.InjectConf(p, map[string]any{"name": list.Name, "cniVersion": list.CNIVersion})
		if err == nil {
			err = acceptPlugin(stdin.Bytes)
		}
		if err != nil {
			return fmt.Errorf("%w: plugin %d of the list, %s, would reject every pod: %w",
				fault.ErrConfig, n+1, p.Network.Type, err)
		}
	}
	return nil
}

// acceptPlugin returns why a plugin would reject its configuration. It does not read the files that the configuration
// names, which are on the host.
func acceptPlugin(stdin []byte) error {
	conf, err := netconf.Parse(stdin)
	if err != nil || conf.APIRoot() == "" || conf.Kubernetes.Kubeconfig != "" {
		return err
	}
	return kube.Direct{
		Server: conf.APIRoot(), Token: conf.Policy.AuthToken.Reveal(),
		Certificate: conf.Policy.ClientCertificate, Key: conf.Policy.ClientKey.Reveal(),
		CA: conf.Policy.CertificateAuthority,
	}.Check()
}
