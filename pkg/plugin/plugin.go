// SPDX-License-Identifier: Apache-2.0

// Package plugin is the main plugin, calico: each verb of the CNI specification as a short pipeline of named steps.
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

// Bounds of what a command does, the wait for other commands of the node apart. The kubelet gives a sandbox four
// minutes.
const (
	gatherDeadline = 30 * time.Second
	attachDeadline = 60 * time.Second
	checkDeadline  = 60 * time.Second
	localDeadline  = 60 * time.Second
)

// Plugin is calico with what it takes from the world.
type Plugin struct {
	Host      invocation.Host
	Dataplane dataplane.Interface
	// InterfacePrefix is the value of FELIX_INTERFACEPREFIX.
	InterfacePrefix string
	Gates           Gates
	// HostHas reports whether the host has an interface of the workload of one of the names, or that is unknown. Nil
	// stands for unknown.
	HostHas func(names ...string) bool
}

// attachment is one call for an attachment, and the names that follow from it.
type attachment struct {
	call      *invocation.Call
	ipam      *nodeipam.Node
	dataplane dataplane.Interface
	// prefix begins the names of interfaces on the host.
	prefix string
	// previous is the result of the plugins before this one in a chain; nil when it is the first.
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
		c.Log.Warn("releasing by the usual prefix of interface names", "error", wrong)
		prefix, _ = workload.ParsePrefix("")
	}
	if migrated(c) {
		// Some runtimes delete with the configuration of the ADD: its lease is an allocation of ours by now.
		c.Conf.IPAM = netconf.IPAM{Type: netconf.CalicoIPAM}
	}
	return &attachment{call: c, ipam: c.NodeIPAM(), dataplane: p.Dataplane, prefix: prefix}, nil
}

// asksAPI reports whether the attachment needs the API server: with another IPAM plugin and outside Kubernetes it does
// not.
func (a *attachment) asksAPI() bool { return a.blockIPAM() || a.call.ID.Kubernetes() }

// blockIPAM reports whether addresses come from our own allocator, in this process.
func (a *attachment) blockIPAM() bool { return blockIPAM(a.call.Conf) }

func blockIPAM(conf *netconf.NetConf) bool {
	return conf.IPAM.Type == netconf.CalicoIPAM && !conf.IPAM.Exec
}

// handle owns what the attachment has, in IPAM and on the host.
func (a *attachment) handle() string { return a.call.ID.HandleID(a.call.Conf.Name) }

// delegate is the IPAM plugin that runs as a process of its own.
func (a *attachment) delegate() delegate { return delegate{call: a.call} }

func (a *attachment) announcer() announce.Announcer {
	return announce.Announcer{Client: a.call.Client, ID: a.call.ID}
}

func (a *attachment) target() dataplane.Target {
	return dataplane.Target{
		Owner: a.handle(), ContainerID: a.call.ID.ContainerID, NetNS: a.call.CNI.Netns, IfName: a.call.ID.IfName,
		HostIfName: a.call.ID.HostIfName(a.prefix), SecondHostIfName: a.call.ID.SecondHostIfName(a.prefix),
		// Outside Kubernetes the name has the container's ID in it.
		Unmarked: !a.call.ID.Kubernetes(),
	}
}

// migrated says that the network's addresses were moved from host-local to block IPAM on this node, and that the
// configuration does not know it.
func migrated(c *invocation.Call) bool {
	return c.Conf.IPAM.Type == hostLocal && migrate.Done(c.Host.ReadFile, migrate.Networks, c.Conf.Name)
}
