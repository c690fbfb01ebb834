// SPDX-License-Identifier: Apache-2.0

// Package plugin implements the main plugin, calico. Each verb of the CNI specification is a short sequence of steps.
package plugin

import (
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/pkg/announce"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/invocation"
	"calico-cni/pkg/migrate"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
	"calico-cni/pkg/workload"
)

// Time limits of the parts of a command, except for the wait for other commands on the node. The kubelet allows four
// minutes for a sandbox.
const (
	gatherDeadline = 30 * time.Second
	attachDeadline = 60 * time.Second
	checkDeadline  = 60 * time.Second
	localDeadline  = 60 * time.Second
)

// Plugin is the plugin calico with its dependencies.
type Plugin struct {
	Host      invocation.Host
	Dataplane dataplane.Interface
	// InterfacePrefix is the value of FELIX_INTERFACEPREFIX.
	InterfacePrefix string
	Gates           Gates
	// HostHas reports whether the host has, or may have, a workload interface with one of the names. Nil means that
	// this is unknown.
	HostHas func(names ...string) bool
}

// attachment is a call for one attachment, with the names derived from it.
type attachment struct {
	call      *invocation.Call
	ipam      *nodeipam.Node
	dataplane dataplane.Interface
	// prefix is the prefix of host interface names.
	prefix string
	// previous is the result of the previous plugins in a chain; nil if calico is the first plugin.
	previous *current.Result
}

// newAttachment reads and validates the configuration and the arguments. It has no effect outside the process.
func (p *Plugin) newAttachment(verb string, args *skel.CmdArgs) (*attachment, error) {
	c, err := p.Host.Attach(verb, args)
	if err != nil {
		return nil, err
	}
	a := &attachment{call: c, ipam: c.NodeIPAM(), dataplane: p.Dataplane}
	if a.prefix, err = workload.ParsePrefix(p.InterfacePrefix); err != nil {
		return nil, err
	}
	a.previous, err = c.Conf.PrevResult()
	return a, err
}

// attachmentForDel reads as much of the arguments and the configuration of a DEL as it can.
func (p *Plugin) attachmentForDel(args *skel.CmdArgs) (*attachment, error) {
	c, err := p.Host.Detach(args)
	if err != nil {
		return nil, err
	}
	prefix, wrong := workload.ParsePrefix(p.InterfacePrefix)
	if wrong != nil {
		c.Log.Warn("releasing with the default prefix of interface names", "error", wrong)
		prefix, _ = workload.ParsePrefix("")
	}
	if leasesMigrated(c) {
		// Some runtimes pass the configuration of the ADD. Its lease was moved to block IPAM.
		c.Conf.IPAM = netconf.IPAM{Type: netconf.CalicoIPAM}
	}
	return &attachment{call: c, ipam: c.NodeIPAM(), dataplane: p.Dataplane, prefix: prefix}, nil
}

// usesAPI reports whether the attachment needs the API server: for block IPAM or for a pod.
func (a *attachment) usesAPI() bool { return a.blockIPAM() || a.call.ID.Kubernetes() }

// blockIPAM reports whether block IPAM in this process allocates the addresses.
func (a *attachment) blockIPAM() bool { return blockIPAM(a.call.Conf) }

func blockIPAM(conf *netconf.NetConf) bool {
	return conf.IPAM.Type == netconf.CalicoIPAM && !conf.IPAM.Exec
}

// handle returns the name that identifies the attachment's resources in IPAM and on the host.
func (a *attachment) handle() string { return a.call.ID.HandleID(a.call.Conf.Name) }

// delegate returns the IPAM plugin that runs in a separate process.
func (a *attachment) delegate() delegate { return delegate{call: a.call} }

func (a *attachment) announcer() announce.Announcer {
	return announce.Announcer{Client: a.call.Client, ID: a.call.ID}
}

func (a *attachment) target() dataplane.Target {
	return dataplane.Target{
		Handle: a.handle(), ContainerID: a.call.ID.ContainerID, NetNS: a.call.CNI.Netns, IfName: a.call.ID.IfName,
		HostIfName: a.call.ID.HostIfName(a.prefix), SecondHostIfName: a.call.ID.SecondHostIfName(a.prefix),
		// Outside Kubernetes the name contains the container ID.
		Unmarked: !a.call.ID.Kubernetes(),
	}
}

// leasesMigrated reports whether the network's addresses were moved from host-local to block IPAM on this node, but the
// configuration still names host-local.
func leasesMigrated(c *invocation.Call) bool {
	return c.Conf.IPAM.Type == hostLocal && migrate.Done(c.Host.ReadFile, migrate.Networks, c.Conf.Name)
}
