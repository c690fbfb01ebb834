// Package plugin is the main plugin, calico: each verb of the CNI specification as a short pipeline of named steps.
package plugin

import (
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/pkg/announce"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/migrate"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
	"calico-cni/pkg/workload"
)

// Bounds of what a command does, the wait for other commands of the node apart. The kubelet gives a sandbox four minutes.
const (
	gatherDeadline = 30 * time.Second
	attachDeadline = 60 * time.Second
	checkDeadline  = 60 * time.Second
	localDeadline  = 60 * time.Second
)

// Plugin is calico with what it takes from the world.
type Plugin struct {
	nodeipam.Host
	Dataplane dataplane.Interface
	// InterfacePrefix is the value of FELIX_INTERFACEPREFIX.
	InterfacePrefix string
	Gates           Gates
	// HostHas reports whether the host has an interface of the workload of one of the names, or that is unknown. Nil stands
	// for unknown.
	HostHas func(names ...string) bool
}

// attachment is one command about an attachment: what the runtime asked for, and the names that follow from it.
type attachment struct {
	*nodeipam.Command
	dataplane dataplane.Interface
	gates     Gates
	// prefix begins the names of interfaces on the host.
	prefix string
	// previous is the result of the plugins before this one in a chain; nil when it is the first.
	previous *current.Result
}

// attach reads the configuration and the arguments of a command that has to be right in all that it says. Nothing is touched yet.
func (p *Plugin) attach(verb string, args *skel.CmdArgs) (*attachment, error) {
	c, err := p.Attach(verb, args)
	if err != nil {
		return nil, err
	}
	a := &attachment{Command: c, dataplane: p.Dataplane, gates: p.Gates}
	if a.prefix, err = workload.ParsePrefix(p.InterfacePrefix); err != nil {
		return nil, err
	}
	a.previous, err = c.Conf.PrevResult()
	return a, err
}

// detach reads what a DEL is about, as far as it can be read.
func (p *Plugin) detach(args *skel.CmdArgs) (*attachment, error) {
	c, err := p.Detach(args)
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
	return &attachment{Command: c, dataplane: p.Dataplane, prefix: prefix}, nil
}

// asksAPI reports whether the attachment takes the API server at all: with another IPAM plugin and outside Kubernetes it does not.
func (a *attachment) asksAPI() bool { return a.blockIPAM() || a.ID.Kubernetes() }

// blockIPAM reports whether addresses come from our own allocator, in this process.
func (a *attachment) blockIPAM() bool { return blockIPAM(a.Conf) }

func blockIPAM(conf *netconf.NetConf) bool {
	return conf.IPAM.Type == netconf.CalicoIPAM && !conf.IPAM.Exec
}

// handle owns what the attachment has, in IPAM and on the host.
func (a *attachment) handle() string { return a.ID.HandleID(a.Conf.Name) }

func (a *attachment) announcer() announce.Announcer {
	return announce.Announcer{Client: a.Client, ID: a.ID}
}

func (a *attachment) target() dataplane.Target {
	return dataplane.Target{
		Owner: a.handle(), ContainerID: a.ID.ContainerID, NetNS: a.CNI.Netns, IfName: a.ID.IfName,
		HostIfName: a.ID.HostIfName(a.prefix), SecondHostIfName: a.ID.SecondHostIfName(a.prefix),
		// Outside Kubernetes the name has the container's ID in it.
		Unmarked: !a.ID.Kubernetes(),
	}
}

// migrated says that the network's addresses were moved from host-local to block IPAM on this node, and that the configuration
// does not know it.
func migrated(c *nodeipam.Command) bool {
	return c.Conf.IPAM.Type == hostLocal && migrate.Done(c.ReadFile, migrate.Networks, c.Conf.Name)
}
