// Package plugin is the main plugin, calico: each verb of the CNI specification as a short pipeline of named steps.
package plugin

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/internal/undo"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/ipamplugin"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/workload"
)

// Bounds of what a command does, the wait for other commands of the node apart. The kubelet gives a sandbox four minutes.
const (
	gatherDeadline = 30 * time.Second
	attachDeadline = 60 * time.Second
	delDeadline    = 90 * time.Second
)

// Plugin is calico with what it takes from the world.
type Plugin struct {
	Dataplane dataplane.Interface
	Log       *slog.Logger
	Now       func() time.Time
	ReadFile  func(path string) ([]byte, error)
	Hostname  func() (string, error)
	// InterfacePrefix is the value of FELIX_INTERFACEPREFIX.
	InterfacePrefix string
	// UserAgent is what the API server's audit log shows.
	UserAgent string
}

// attachment is one invocation: what the runtime asked for, and the names that follow from it.
type attachment struct {
	*Plugin
	conf       *netconf.NetConf
	args       *skel.CmdArgs
	cniArgs    workload.Args
	id         workload.ID
	hostIfName string
	// previous is the result of the plugins before this one in a chain; nil when it is the first.
	previous *current.Result
	// client speaks to the API server once connect has succeeded.
	client *kube.Client
}

// Add attaches the pod: it reads what the cluster says, allocates the addresses, sets up the interface, and tells the
// cluster. When a step fails, those before it are undone. What can be refused is refused before anything is written.
func (p *Plugin) Add(ctx context.Context, args *skel.CmdArgs) (_ types.Result, err error) {
	started := p.Now()
	a, err := p.attachment(args)
	if err != nil {
		return nil, err
	}
	var u undo.Stack
	var ips *current.Result
	defer func() { a.log(ctx, "ADD", started, addresses(ips), err) }()
	defer func() { u.OnError(ctx, &err) }()

	node, err := ipamplugin.NodeName(a.conf, a.ReadFile, a.Hostname)
	if err != nil {
		return nil, err
	}
	mtu, err := a.mtu()
	if err != nil {
		return nil, err
	}
	facts, err := a.gather(ctx, node)
	if err != nil {
		return nil, err
	}
	spec, err := a.Dataplane.Admit(ctx, a.spec(facts, a.families(facts), mtu))
	if err != nil {
		return nil, err
	}
	if ips, err = a.assign(ctx, facts, &u); err != nil {
		return nil, err
	}
	spec.Addrs = addresses(ips)
	endpoint, err := a.attach(ctx, facts, spec, &u)
	if err != nil {
		return nil, err
	}
	return a.result(ips, endpoint), nil
}

// attachment reads the configuration and the arguments. Nothing is touched yet.
func (p *Plugin) attachment(args *skel.CmdArgs) (*attachment, error) {
	conf, err := netconf.Parse(args.StdinData)
	if err != nil {
		return nil, err
	}
	cniArgs, err := workload.ParseArgs(args.Args)
	if err != nil {
		return nil, err
	}
	id, err := workload.Identify(args.ContainerID, args.IfName, cniArgs)
	if err != nil {
		return nil, err
	}
	prefix, err := workload.ParsePrefix(p.InterfacePrefix)
	if err != nil {
		return nil, err
	}
	previous, err := conf.PrevResult()
	if err != nil {
		return nil, err
	}
	return &attachment{
		Plugin: p, conf: conf, args: args, cniArgs: cniArgs, id: id, hostIfName: id.HostIfName(prefix), previous: previous,
	}, nil
}

// release reads what a DEL is about. A configuration or an environment that an ADD would refuse is made do with.
func (p *Plugin) release(args *skel.CmdArgs) (*attachment, error) {
	conf, broken := netconf.ParseForRelease(args.StdinData)
	id, err := workload.ForRelease(args.ContainerID, args.IfName, args.Args)
	if err != nil {
		return nil, err
	}
	prefix, wrong := workload.ParsePrefix(p.InterfacePrefix)
	if wrong != nil {
		prefix, _ = workload.ParsePrefix("")
	}
	if err := errors.Join(broken, wrong); err != nil {
		p.Log.Warn("releasing by what can be read of configuration and environment", "error", err)
	}
	return &attachment{Plugin: p, conf: conf, args: args, id: id, hostIfName: id.HostIfName(prefix)}, nil
}

func (a *attachment) connect() error {
	path, err := a.conf.KubeconfigPath()
	if err != nil {
		return err
	}
	a.client, err = kube.Load(path, a.UserAgent)
	return err
}

// asksAPI reports whether the attachment takes the API server at all: with another IPAM plugin and outside Kubernetes it does not.
func (a *attachment) asksAPI() bool { return a.blockIPAM() || a.id.Kubernetes() }

// blockIPAM reports whether addresses come from our own allocator, in this process.
func (a *attachment) blockIPAM() bool {
	return a.conf.IPAM.Type == netconf.CalicoIPAM && !a.conf.IPAM.Exec
}

func (a *attachment) allocations() ipamplugin.Allocations {
	store := crdstore.New(a.client, ipamplugin.Labelled)
	return ipamplugin.Allocations{Store: store, Cluster: store, LockFile: a.conf.IPAMLockFile, Now: a.Now, Log: a.Log}
}

func (a *attachment) log(ctx context.Context, verb string, started time.Time, addrs []netip.Addr, err error) {
	ipamplugin.LogCommand(ctx, a.Log, verb, a.id, addrs, a.Now().Sub(started), err)
}
