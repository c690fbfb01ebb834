// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/internal/nodestate"
	"calico-cni/internal/undo"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/invocation"
	"calico-cni/pkg/netconf"
)

// addRun is one ADD. Each step stores what later steps need.
type addRun struct {
	attachment *attachment
	gates      Gates
	undo       undo.Stack
	facts      facts
	mtu        int
	// spec is the desired interface without addresses.
	spec   dataplane.Spec
	grants blockGrants
	ips    *current.Result
	// announcing says that the pod's annotations may have been written.
	announcing bool
	endpoint   dataplane.Endpoint
}

// Add attaches the pod: it reads the pod and its namespace, allocates addresses, sets up the interface and annotates
// the pod. If a step fails, Add undoes the previous steps. It validates the request before it writes anything.
func (p *Plugin) Add(ctx context.Context, args *skel.CmdArgs) (_ types.Result, err error) {
	attachment, err := p.newAttachment("ADD", args)
	if err != nil {
		return nil, err
	}
	a := newAddRun(attachment, p.Gates)
	defer func() { attachment.call.Finish(ctx, addresses(a.ips), err) }()
	defer func() { a.note(err) }()
	attachment.call.CancelOnSignal()
	end, err := attachment.ipam.BeginAdd(attachment.call.ID, nodestate.Main)
	if err != nil {
		return nil, err
	}
	defer func() { end(err == nil) }()
	defer func() { a.undo.OnError(ctx, &err) }()

	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"read node", a.readNode},
		{"settle earlier release", a.settleEarlier},
		{"await readiness gates", a.awaitGates},
		{"read cluster", a.readCluster},
		{"admit", a.admit},
		{"assign addresses", a.assign},
		{"attach", a.attachInterface},
		{"await policy", a.awaitPolicy},
	} {
		if err := attachment.call.Step(ctx, step.name, func() error { return step.do(ctx) }); err != nil {
			return nil, err
		}
	}
	return a.result(), nil
}

func newAddRun(a *attachment, gates Gates) *addRun {
	return &addRun{attachment: a, gates: gates, grants: blockGrants{ipam: a.ipam}}
}

// readNode reads the files of the node and creates the client of the API server.
func (a *addRun) readNode(context.Context) (err error) {
	if a.facts.node, err = a.attachment.call.NodeName(); err != nil {
		return err
	}
	if a.mtu, err = a.attachment.readMTU(); err != nil || !a.attachment.usesAPI() {
		return err
	}
	return a.attachment.call.Connect()
}

func (a *addRun) settleEarlier(ctx context.Context) error {
	if !a.attachment.usesAPI() {
		return nil
	}
	return a.attachment.ipam.Releases().SettleOwn(ctx, a.attachment.call.ID.ContainerID)
}

// admit rejects a request that the data plane cannot fulfil, and selects the name of the host end.
func (a *addRun) admit(ctx context.Context) (err error) {
	c := a.attachment.call
	target := a.attachment.target()
	a.spec, err = a.attachment.dataplane.Admit(ctx, dataplane.Spec{
		Handle: target.Handle, NetNS: target.NetNS, IfName: target.IfName,
		HostIfName: target.HostIfName, SecondHostIfName: target.SecondHostIfName,
		MTU: a.mtu, Queues: c.Conf.NumQueues, MAC: a.facts.mac(c.Conf),
		Addrs:  families(a.facts.annotations.IPAddrsNoIPAM, c.Conf, a.request()),
		Netkit: c.Conf.DeviceType == "netkit",
		// Outside Kubernetes the name contains only the first characters of the container ID, which may not be unique.
		Shared:            !c.ID.Kubernetes(),
		Routes:            c.Conf.PodRoutes(),
		AllowIPForwarding: c.Conf.ContainerSettings.AllowIPForwarding,
	})
	return err
}

// note records the outcome for later STATUS commands.
func (a *addRun) note(err error) {
	// If calico-ipam ran as a separate process, it has recorded the outcome of a successful ADD.
	if a.attachment.usesAPI() && (err != nil || !a.attachment.call.Conf.IPAM.Exec) {
		a.attachment.ipam.Health().Note(err, a.grants.last())
	}
}

// mtuFile is the file in which the node agent stores the MTU that fits the node's links and encapsulation.
const mtuFile = "/var/lib/calico/mtu"

// readMTU returns the MTU of the pod's interface, 0 for the kernel's default.
func (a *attachment) readMTU() (int, error) {
	if a.call.Conf.MTU != 0 {
		return a.call.Conf.MTU, nil
	}
	data, err := a.call.Host.ReadFile(mtuFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && a.call.Conf.RequireMTUFile:
		return 0, fmt.Errorf("%w: %s does not exist, and require_mtu_file is set: the node agent writes it; check that the "+
			"calico-node pod runs on this node", invocation.ErrNodeNotReady, mtuFile)
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read MTU file: %w", err)
	}
	mtu, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || mtu != 0 && mtu < netconf.LeastMTU || mtu > netconf.MostMTU {
		return 0, fmt.Errorf("%w: %s holds %q, want a number from 68 to 65535; restart the node agent, which "+
			"rewrites the file", invocation.ErrNodeNotReady, mtuFile, data)
	}
	return mtu, nil
}
