// Package ipamplugin is the IPAM plugin, calico-ipam: block IPAM behind the CNI specification's IPAM protocol. The main
// plugin calls the same allocations in its own process.
package ipamplugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sync/errgroup"

	"calico-cni/internal/oncefile"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/workload"
)

// Labelled is where plugins of this kind remember that the node's affinities have labels. Calico's looks there too.
const Labelled = oncefile.File("/var/run/calico/cni/ipam_upgraded")

// deadline bounds what a command does, the wait for other commands of the node apart. The kubelet gives a sandbox four minutes.
const deadline = 90 * time.Second

// Plugin is calico-ipam with what it takes from the world.
type Plugin struct {
	Log      *slog.Logger
	Now      func() time.Time
	ReadFile func(path string) ([]byte, error)
	Hostname func() (string, error)
	// UserAgent is what the API server's audit log shows.
	UserAgent string
}

// command is one invocation.
type command struct {
	*Plugin
	conf   *netconf.NetConf
	args   workload.Args
	id     workload.ID
	client *kube.Client
}

// Add allocates the addresses and returns them as an IPAM plugin does.
func (p *Plugin) Add(ctx context.Context, args *skel.CmdArgs) (_ types.Result, err error) {
	started := p.Now()
	c, err := p.command(args)
	if err != nil {
		return nil, err
	}
	var grant Grant
	defer func() { c.log(ctx, "ADD", started, grant.addrs(), err) }()

	node, err := NodeName(c.conf, p.ReadFile, p.Hostname)
	if err != nil {
		return nil, err
	}
	if err := c.connect(); err != nil {
		return nil, err
	}
	view, namespace, err := c.gather(ctx, node)
	if err != nil {
		return nil, err
	}
	if grant, err = c.allocations().Assign(ctx, view, c.request(node, namespace)); err != nil {
		return nil, err
	}
	return grant.Result(), nil
}

// Del releases whatever the attachment holds. To hold nothing is a success.
func (p *Plugin) Del(ctx context.Context, args *skel.CmdArgs) (err error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	started := p.Now()
	c, err := p.release(args)
	if err != nil {
		return err
	}
	var released []netip.Addr
	defer func() { c.log(ctx, "DEL", started, released, err) }()

	if err := c.connect(); err != nil {
		return err
	}
	held, err := c.allocations().Lookup(ctx, c.conf.Name, c.id)
	if err != nil {
		return err
	}
	released, err = c.allocations().Release(ctx, held)
	return err
}

func (p *Plugin) command(args *skel.CmdArgs) (*command, error) {
	conf, err := netconf.Parse(args.StdinData)
	if err != nil {
		return nil, err
	}
	cniArgs, err := workload.ParseArgs(args.Args)
	if err != nil {
		return nil, err
	}
	id, err := workload.Identify(args.ContainerID, args.IfName, cniArgs)
	return &command{Plugin: p, conf: conf, args: cniArgs, id: id}, err
}

// release reads what a DEL is about. A configuration that an ADD would refuse is made do with.
func (p *Plugin) release(args *skel.CmdArgs) (*command, error) {
	conf, broken := netconf.ParseForRelease(args.StdinData)
	if broken != nil {
		p.Log.Warn("releasing by what can be read of the configuration", "error", broken)
	}
	id, err := workload.ForRelease(args.ContainerID, args.IfName, args.Args)
	return &command{Plugin: p, conf: conf, id: id}, err
}

func (c *command) connect() error {
	path, err := c.conf.KubeconfigPath()
	if err != nil {
		return err
	}
	c.client, err = kube.Load(path, c.UserAgent)
	return err
}

func (c *command) allocations() Allocations {
	store := crdstore.New(c.client, Labelled)
	return Allocations{Store: store, Cluster: store, LockFile: c.conf.IPAMLockFile, Now: c.Now, Log: c.Log}
}

// gather reads in one parallel round what the request depends on.
func (c *command) gather(ctx context.Context, node string) (view ipam.View, namespace kube.Meta, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { view, err = c.allocations().Gather(ctx, node); return err })
	if c.id.Kubernetes() {
		g.Go(func() (err error) { namespace, err = c.client.Namespace(ctx, c.id.Namespace); return err })
	}
	return view, namespace, g.Wait()
}

func (c *command) request(node string, namespace kube.Meta) Request {
	r := Request{
		Network: c.conf.Name, Node: node, ID: c.id,
		IPv4: Family{Wanted: c.conf.IPAM.AssignIPv4, Pools: c.conf.IPAM.IPv4Pools},
		IPv6: Family{Wanted: c.conf.IPAM.AssignIPv6, Pools: c.conf.IPAM.IPv6Pools},
	}
	if c.id.Kubernetes() {
		r.NamespaceLabels = NamespaceLabels(c.id.Namespace, namespace.Labels)
	}
	r.Name(RequestedAddrs(c.conf, c.args))
	return r
}

// Name asks for addresses by name, at most one a family, and for nothing else. No address changes nothing.
func (r *Request) Name(addrs []netip.Addr) {
	if len(addrs) == 0 {
		return
	}
	r.IPv4.Wanted, r.IPv6.Wanted = false, false
	for _, addr := range addrs {
		if addr.Is4() {
			r.IPv4.Wanted, r.IPv4.Addr = true, addr
		} else {
			r.IPv6.Wanted, r.IPv6.Addr = true, addr
		}
	}
}

// RequestedAddrs returns the addresses that the runtime asks for by name: those of the configuration, else that of CNI_ARGS.
func RequestedAddrs(conf *netconf.NetConf, args workload.Args) []netip.Addr {
	if addrs := conf.RequestedIPs(); len(addrs) > 0 {
		return addrs
	}
	if args.IP.IsValid() {
		return []netip.Addr{args.IP}
	}
	return nil
}

// ErrNotUp says that something which the node has to provide before pods can come is not there yet. A retry cures it.
var ErrNotUp = errors.New("node is not up")

// NodeName returns the name of the Kubernetes node. The nodename file is the node agent's sign of life, so that its
// absence is an error that wraps ErrNotUp even where the configuration has the name, unless the file is optional.
func NodeName(conf *netconf.NetConf, readFile func(string) ([]byte, error), hostname func() (string, error)) (string, error) {
	data, err := readFile(conf.NodenameFile)
	switch {
	case conf.NodenameFileOptional:
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: %s does not exist: the node agent writes it; see that the calico-node pod runs on this node "+
			"and mounts /var/lib/calico, or set nodename_file_optional", ErrNotUp, conf.NodenameFile)
	case err != nil:
		return "", fmt.Errorf("%w: read nodename file: %w", ErrNotUp, err)
	}
	for _, name := range []string{conf.Nodename, strings.TrimSpace(string(data)), conf.Hostname} {
		if name != "" {
			return name, nil
		}
	}
	name, err := hostname()
	name = strings.ToLower(strings.TrimSpace(name))
	if err == nil && name == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("read host name: %w; set nodename in the CNI configuration", err)
	}
	return name, nil
}

func (g Grant) addrs() []netip.Addr {
	var out []netip.Addr
	for _, a := range g.Assigned {
		out = append(out, a.Addr)
	}
	return out
}

// log writes the one line that a command leaves behind.
func (c *command) log(ctx context.Context, verb string, started time.Time, addrs []netip.Addr, err error) {
	LogCommand(ctx, c.Log, verb, c.id, addrs, c.Now().Sub(started), err)
}

// LogCommand writes the line about a command of a plugin: what it was about, what came of it, and what it took.
func LogCommand(ctx context.Context, log *slog.Logger, verb string, id workload.ID, addrs []netip.Addr, took time.Duration, err error) {
	level, message := slog.LevelInfo, verb+" done"
	attrs := []slog.Attr{slog.String("attachment", id.String()), slog.String("ifname", id.IfName), slog.Any("addresses", addrs), slog.Duration("took", took)}
	if err != nil {
		level, message = slog.LevelError, verb+" failed"
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	log.LogAttrs(ctx, level, message, attrs...)
}
