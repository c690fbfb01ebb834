package install

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"

	"calico-cni/conflist"
	"calico-cni/internal/dispatch"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
)

// tryConflist renders the network configuration with a token that is none, and has the plugins read it: what they refuse
// is refused here, once, rather than for every pod.
func (i *installer) tryConflist() error {
	v := i.values
	v.Token = "redacted"
	data, err := conflist.Render(i.cfg.ConfName, i.template, v)
	if err != nil {
		return fmt.Errorf("render %s: %w", i.cfg.ConfName, err)
	}
	if i.cfg.ChainInto != "" {
		_, err := i.chained(data)
		return err
	}
	list, err := conflist.Load(i.cfg.ConfName, data)
	if err == nil {
		err = accept(list)
	}
	if err != nil {
		return fmt.Errorf("check %s: %w", i.cfg.ConfName, err)
	}
	return nil
}

// accept returns an error that wraps ErrConfig when one of our plugins in the list would refuse what the runtime hands
// it: its own object with name and version of the list.
//
// Source: CNI specification 1.1.0, section 4, "Deriving execution configuration from plugin configuration".
func accept(list *libcni.NetworkConfigList) error {
	if list.CNIVersion != "" && !slices.Contains(dispatch.Versions(), list.CNIVersion) {
		return fmt.Errorf("%w: cniVersion %q is not one that the plugins speak: want one of %s",
			ErrConfig, list.CNIVersion, strings.Join(dispatch.Versions(), ", "))
	}
	for n, p := range list.Plugins {
		if !isOurs(p) {
			continue
		}
		stdin, err := libcni.InjectConf(p, map[string]any{"name": list.Name, "cniVersion": list.CNIVersion})
		if err == nil {
			err = acceptPlugin(stdin.Bytes)
		}
		if err != nil {
			return fmt.Errorf("%w: plugin %d of the list, %s, would refuse every pod: %w", ErrConfig, n+1, p.Network.Type, err)
		}
	}
	return nil
}

// acceptPlugin returns why a plugin would refuse its configuration. Files that it names are not read: they are the host's.
func acceptPlugin(stdin []byte) error {
	conf, err := netconf.Parse(stdin)
	if err != nil || conf.APIRoot() == "" || conf.Kubernetes.Kubeconfig != "" {
		return err
	}
	return kube.Direct{
		Server: conf.APIRoot(), Token: conf.Policy.AuthToken.Reveal(),
		Certificate: conf.Policy.ClientCertificate, Key: conf.Policy.ClientKey.Reveal(), CA: conf.Policy.CertificateAuthority,
	}.Check()
}

// isOurs says that calico or calico-ipam is called, the latter also by somebody else's plugin, with the same object.
func isOurs(p *libcni.PluginConfig) bool {
	return p.Network.Type == "calico" || p.Network.Type == netconf.CalicoIPAM || p.Network.IPAM.Type == netconf.CalicoIPAM
}
