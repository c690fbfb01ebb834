package nodeipam

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/containernetworking/cni/pkg/skel"

	"calico-cni/internal/deletion"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/workload"
)

// Command is one invocation of a plugin that has block IPAM behind it: what the runtime asked for, and the way to the
// API server.
type Command struct {
	Host
	Verb string
	Conf *netconf.NetConf
	CNI  *skel.CmdArgs
	// Args is what CNI_ARGS says, ID whom the command is about: both empty in commands about the whole node.
	Args workload.Args
	ID   workload.ID
	Log  *slog.Logger
	// Client speaks to the API server once Connect has succeeded.
	Client *kube.Client
	// store is made once, because it remembers how many blocks the cluster has.
	store   *crdstore.Store
	opened  sync.Once
	started time.Time
	// begun is started by the boot clock.
	begun time.Duration
	// plugin, record and undisturbed are of a DEL: see BeginDel.
	plugin      deletion.Plugin
	record      *deletion.Record
	undisturbed bool
}

// Attach begins a command about one attachment that has to be right in all that it says. Nothing is touched yet.
func (h Host) Attach(verb string, args *skel.CmdArgs) (*Command, error) {
	c, err := h.OnNode(verb, args)
	if err != nil {
		return nil, err
	}
	if c.Args, err = workload.ParseArgs(args.Args); err != nil {
		return nil, err
	}
	c.ID, err = workload.Identify(args.ContainerID, args.IfName, c.Args)
	return c, err
}

// Detach begins a DEL. A configuration or an environment that an ADD would refuse is made do with.
func (h Host) Detach(args *skel.CmdArgs) (*Command, error) {
	started, begun := h.Now(), h.boot()
	conf, broken := netconf.ParseForRelease(args.StdinData)
	c := &Command{Host: h, Verb: "DEL", Conf: conf, CNI: args, Log: h.OpenLog(conf), started: started, begun: begun}
	if broken != nil {
		c.Log.Warn("releasing by what can be read of the configuration", "error", broken)
	}
	var err error
	c.ID, err = workload.ForRelease(args.ContainerID, args.IfName, args.Args)
	return c, err
}

// OnNode begins a command about the whole node.
func (h Host) OnNode(verb string, args *skel.CmdArgs) (*Command, error) {
	started, begun := h.Now(), h.boot()
	conf, err := netconf.Parse(args.StdinData)
	if err != nil {
		return nil, err
	}
	return &Command{Host: h, Verb: verb, Conf: conf, CNI: args, Log: h.OpenLog(conf), started: started, begun: begun}, nil
}

// Connect prepares to speak to the API server. No request is made.
func (c *Command) Connect() error {
	if c.Client != nil {
		return nil
	}
	c.onSignal()
	client, err := c.connect()
	if err != nil {
		return err
	}
	c.Client = client.Limited(c.Conf.QPS, c.Conf.Burst)
	return nil
}

func (c *Command) connect() (*kube.Client, error) {
	if root := c.Conf.APIRoot(); root != "" && c.Conf.Kubernetes.Kubeconfig == "" {
		return kube.Direct{
			Server: root, Token: c.Conf.Policy.AuthToken.Reveal(),
			Certificate: c.Conf.Policy.ClientCertificate, Key: c.Conf.Policy.ClientKey.Reveal(), CA: c.Conf.Policy.CertificateAuthority,
		}.Client(c.UserAgent)
	}
	path, err := c.Conf.KubeconfigPath()
	if err != nil && c.Verb == "DEL" {
		// The configuration was right once: the release can wait until it is again.
		return nil, fmt.Errorf("%w: %w", kube.ErrKubeconfig, err)
	}
	if err != nil {
		return nil, err
	}
	return kube.Load(path, c.UserAgent)
}

// ReadNamespace reads the namespace of the pod.
func (c *Command) ReadNamespace(ctx context.Context) (kube.Meta, error) {
	namespace, err := c.Client.Namespace(ctx, c.ID.Namespace)
	if errors.Is(err, kube.ErrNotFound) {
		err = fmt.Errorf("%w; see whether it was deleted while the pod was starting", err)
	}
	return namespace, err
}

// Allocations are those of the node, once connected.
func (c *Command) Allocations() Allocations {
	c.opened.Do(func() { c.store = crdstore.New(c.Client, c.labelled()) })
	return Allocations{
		Store: c.store, Cluster: c.store, LockFile: c.Conf.IPAMLockFile, borrowed: c.borrowed(),
		remembered: c.remembered(c.Client, c.store), Now: c.Now, Log: c.Log,
	}
}

// Finish writes the one line that a command leaves in the log: what it was about, what came of it, and what it took.
func (c *Command) Finish(ctx context.Context, addrs []netip.Addr, err error) {
	level, message := slog.LevelInfo, c.Verb+" done"
	attrs := []slog.Attr{slog.String("network", c.Conf.Name)}
	if c.ID.ContainerID != "" {
		if c.ID.Kubernetes() {
			attrs = append(attrs, slog.String("pod", c.ID.Namespace+"/"+c.ID.Pod))
		}
		attrs = append(attrs, slog.String("container", c.ID.ContainerID), slog.String("ifname", c.ID.IfName))
	}
	attrs = append(attrs, slog.Any("addresses", addrs), slog.Duration("took", c.Now().Sub(c.started)))
	if err != nil {
		level, message = slog.LevelError, c.Verb+" failed"
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	c.Log.LogAttrs(ctx, level, message, attrs...)
}

// Step runs one step of a command. With the log level debug it says how long that took.
func (c *Command) Step(ctx context.Context, name string, do func() error) error {
	if !c.Log.Enabled(ctx, slog.LevelDebug) {
		return do()
	}
	started := c.Now()
	err := do()
	attrs := []slog.Attr{slog.String("step", name), slog.Duration("took", c.Now().Sub(started))}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	c.Log.LogAttrs(ctx, slog.LevelDebug, c.Verb+" step", attrs...)
	return err
}
