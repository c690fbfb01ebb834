// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
)

// NodeIPAM returns the IPAM of this node for the network of the call.
func (c *Call) NodeIPAM() *nodeipam.Node {
	return &nodeipam.Node{
		Disk: c.Host.Disk(), Network: c.Conf.Name, LockFile: c.Conf.IPAMLockFile, Plugin: c.Conf.IPAM.Type,
		IPv4:   nodeipam.Family{Wanted: c.Conf.IPAM.AssignIPv4, Pools: c.Conf.IPAM.IPv4Pools},
		IPv6:   nodeipam.Family{Wanted: c.Conf.IPAM.AssignIPv6, Pools: c.Conf.IPAM.IPv6Pools},
		Subnet: c.Conf.OtherMainPlugin(),
		Server: nodeipam.Server{Kubeconfig: c.Conf.Kubernetes.Kubeconfig, APIRoot: c.apiRoot()},
		Group:  crdstore.Group(c.Conf.CalicoAPIGroup),
		Scope:  c.scope(), Name: c.NodeName, ReadFile: c.Host.ReadFile, Log: c.Log,
		Connect: func() (nodeipam.Connection, error) {
			err := c.Connect()
			return c.Client, err
		},
		CheckExpiry: func(now time.Time) error { return c.Client.CheckExpiry(now) },
	}
}

// scope returns the fields of the configuration on which a DEL depends.
func (c *Call) scope() string {
	return fmt.Sprintf("%q %q %q %q %t", c.Conf.Kubernetes.Kubeconfig, c.Conf.APIRoot(), c.Conf.CalicoAPIGroup,
		c.Conf.IPAM.Type, c.Conf.IPAM.Exec)
}

// apiRoot returns the URL of the API server without a password, empty if the configuration names a kubeconfig.
func (c *Call) apiRoot() string {
	if c.Conf.Kubernetes.Kubeconfig != "" {
		return ""
	}
	root, err := url.Parse(c.Conf.APIRoot())
	if err != nil {
		// Connect returns this error as well.
		return ""
	}
	return root.Redacted()
}

// Spared returns the attachments that a GC must keep. A configuration without the list of valid attachments is an error
// that wraps netconf.ErrInvalid: a missing list is not an empty one.
func (c *Call) Spared() (nodeipam.Spared, error) {
	if c.Conf.ValidAttachments == nil {
		return nodeipam.Spared{}, fmt.Errorf("%w: GC without cni.dev/valid-attachments: want the list of attachments to "+
			"keep, empty for none; the runtime sets it", netconf.ErrInvalid)
	}
	valid := map[string]map[string]bool{}
	for _, a := range c.Conf.ValidAttachments {
		if valid[a.ContainerID] == nil {
			valid[a.ContainerID] = map[string]bool{}
		}
		valid[a.ContainerID][a.IfName] = true
	}
	return nodeipam.NewSpared(c.Conf.Name, valid, c.Host.Disk().Marks(), c.uptime), nil
}

// RequestedAddrs returns the specific addresses that the runtime requests: those of the configuration or, if there are
// none, that of CNI_ARGS.
func (c *Call) RequestedAddrs() []netip.Addr {
	if addrs := c.Conf.RequestedIPs(); len(addrs) > 0 {
		return addrs
	}
	if c.Args.IP.IsValid() {
		return []netip.Addr{c.Args.IP}
	}
	return nil
}
