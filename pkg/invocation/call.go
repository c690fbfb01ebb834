// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/containernetworking/cni/pkg/skel"

	"calico-cni/pkg/kube"
	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/workload"
)

// Call is one call of a plugin.
type Call struct {
	Host Host
	Verb string
	Conf *netconf.NetConf
	CNI  *skel.CmdArgs
	// Args has the values of CNI_ARGS; ID identifies the attachment. Both are empty for verbs that concern the whole
	// node.
	Args workload.Args
	ID   workload.ID
	Log  *slog.Logger
	// Client is the client of the API server. It is nil until Connect has succeeded.
	Client *kube.Client
	// started is the wall-clock time at the start of the call; uptime is the time since boot.
	started time.Time
	uptime  time.Duration
}

// Attach reads a call for one attachment and validates it. It has no effect outside the process.
func (h Host) Attach(verb string, args *skel.CmdArgs) (*Call, error) {
	c, err := h.newCall(verb, args)
	if err != nil {
		return nil, err
	}
	if c.Args, err = workload.ParseArgs(args.Args); err != nil {
		return nil, err
	}
	c.ID, err = workload.Identify(args.ContainerID, args.IfName, c.Args)
	return c, err
}

// Detach reads a DEL. It accepts configurations and environments that an ADD rejects.
func (h Host) Detach(args *skel.CmdArgs) (*Call, error) {
	started, uptime := h.Now(), h.boot()
	conf, broken := netconf.ParseForRelease(args.StdinData)
	c := &Call{Host: h, Verb: "DEL", Conf: conf, CNI: args, Log: h.OpenLog(conf), started: started, uptime: uptime}
	if broken != nil {
		c.Log.Warn("releasing with the readable fields of an invalid configuration", "error", broken)
	}
	var err error
	c.ID, err = workload.ForRelease(args.ContainerID, args.IfName, args.Args)
	return c, err
}

// OnNode reads a call that concerns the whole node.
func (h Host) OnNode(verb string, args *skel.CmdArgs) (*Call, error) { return h.newCall(verb, args) }

// newCall returns a call with its configuration, without the attachment.
func (h Host) newCall(verb string, args *skel.CmdArgs) (*Call, error) {
	started, uptime := h.Now(), h.boot()
	conf, err := netconf.Parse(args.StdinData)
	if err != nil {
		return nil, err
	}
	return &Call{Host: h, Verb: verb, Conf: conf, CNI: args, Log: h.OpenLog(conf), started: started, uptime: uptime}, nil
}

// CancelOnSignal makes a signal cancel the context of the call. An ADD calls it before it changes anything.
func (c *Call) CancelOnSignal() {
	if c.Host.OnSignal != nil {
		c.Host.OnSignal()
	}
}

// NodeName returns the name of the Kubernetes node.
func (c *Call) NodeName() (string, error) { return c.Host.NodeName(c.Conf) }

// Connect creates the client of the API server, once. It makes no request.
func (c *Call) Connect() error {
	if c.Client != nil {
		return nil
	}
	c.CancelOnSignal()
	client, err := c.newClient()
	if err != nil {
		return err
	}
	c.Client = client.Limited(c.Conf.QPS, c.Conf.Burst)
	return nil
}

func (c *Call) newClient() (*kube.Client, error) {
	if root := c.Conf.APIRoot(); root != "" && c.Conf.Kubernetes.Kubeconfig == "" {
		return kube.Direct{
			Server: root, Token: c.Conf.Policy.AuthToken.Reveal(), CA: c.Conf.Policy.CertificateAuthority,
			Certificate: c.Conf.Policy.ClientCertificate, Key: c.Conf.Policy.ClientKey.Reveal(),
		}.Client(c.Host.UserAgent)
	}
	path, err := c.Conf.KubeconfigPath()
	if err != nil && c.Verb == "DEL" {
		// The configuration was valid for the ADD. Queue the release until it is valid again.
		return nil, fmt.Errorf("%w: %w", kube.ErrKubeconfig, err)
	}
	if err != nil {
		return nil, err
	}
	return kube.Load(path, c.Host.UserAgent)
}

// ReadNamespace reads the namespace of the pod.
func (c *Call) ReadNamespace(ctx context.Context) (kubeapi.Meta, error) {
	namespace, err := kubeapi.Namespace(ctx, c.Client, c.ID.Namespace)
	if errors.Is(err, kubeapi.ErrNotFound) {
		err = fmt.Errorf("%w; check whether it was deleted while the pod was starting", err)
	}
	return namespace, err
}

// Finish logs the outcome of the call: the attachment, the addresses, the duration and the error.
func (c *Call) Finish(ctx context.Context, addrs []netip.Addr, err error) {
	level, message := slog.LevelInfo, c.Verb+" done"
	attrs := []slog.Attr{slog.String("network", c.Conf.Name)}
	if c.ID.ContainerID != "" {
		if c.ID.Kubernetes() {
			attrs = append(attrs, slog.String("pod", c.ID.Namespace+"/"+c.ID.Pod))
		}
		attrs = append(attrs, slog.String("container", c.ID.ContainerID), slog.String("ifname", c.ID.IfName))
	}
	attrs = append(attrs, slog.Any("addresses", addrs), slog.Duration("took", c.Host.Now().Sub(c.started)))
	if err != nil {
		level, message = slog.LevelError, c.Verb+" failed"
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	c.Log.LogAttrs(ctx, level, message, attrs...)
}

// Step runs one step of the call. At log level debug it logs the duration.
func (c *Call) Step(ctx context.Context, name string, do func() error) error {
	if !c.Log.Enabled(ctx, slog.LevelDebug) {
		return do()
	}
	started := c.Host.Now()
	err := do()
	attrs := []slog.Attr{slog.String("step", name), slog.Duration("took", c.Host.Now().Sub(started))}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	c.Log.LogAttrs(ctx, slog.LevelDebug, c.Verb+" step", attrs...)
	return err
}
