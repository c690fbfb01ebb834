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

	"calico-cni/internal/adding"
	"calico-cni/internal/undo"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
)

// add is an ADD on its way: each step leaves what the later ones need.
type add struct {
	*attachment
	undo  undo.Stack
	facts facts
	mtu   int
	// spec is the interface as it shall be, but for the addresses.
	spec dataplane.Spec
	// grants are what block IPAM gave, the last of them in use; the others were given up for it.
	grants []nodeipam.Grant
	ips    *current.Result
	// announcing says that the pod's annotations may have been written.
	announcing bool
	endpoint   dataplane.Endpoint
}

// Add attaches the pod: it reads what the cluster says, allocates the addresses, sets up the interface, and tells the
// cluster. When a step fails, those before it are undone. What can be refused is refused before anything is written.
func (p *Plugin) Add(ctx context.Context, args *skel.CmdArgs) (_ types.Result, err error) {
	attachment, err := p.attach("ADD", args)
	if err != nil {
		return nil, err
	}
	a := &add{attachment: attachment}
	defer func() { a.Finish(ctx, addresses(a.ips), err) }()
	defer func() { a.note(err) }()
	end, err := a.BeginAdd(adding.Main)
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
		if err := a.Step(ctx, step.name, func() error { return step.do(ctx) }); err != nil {
			return nil, err
		}
	}
	return a.result(), nil
}

// readNode reads what the node's own files say, and prepares the way to the API server.
func (a *add) readNode(context.Context) (err error) {
	if a.facts.node, err = a.NodeName(a.Conf); err != nil {
		return err
	}
	if a.mtu, err = a.readMTU(); err != nil || !a.asksAPI() {
		return err
	}
	return a.Connect()
}

func (a *add) settleEarlier(ctx context.Context) error {
	if !a.asksAPI() {
		return nil
	}
	return a.SettleOwn(ctx)
}

// admit refuses what the data plane would refuse later, and settles which name the host's end has.
func (a *add) admit(ctx context.Context) (err error) {
	target := a.target()
	a.spec, err = a.dataplane.Admit(ctx, dataplane.Spec{
		Owner: target.Owner, NetNS: target.NetNS, IfName: target.IfName,
		HostIfName: target.HostIfName, SecondHostIfName: target.SecondHostIfName,
		MTU: a.mtu, Queues: a.Conf.NumQueues, MAC: a.mac(), Addrs: a.families(), Netkit: a.Conf.DeviceType == "netkit",
		// Outside Kubernetes the name has but the first characters of the container's ID.
		Shared:            !a.ID.Kubernetes(),
		Routes:            a.Conf.PodRoutes(),
		AllowIPForwarding: a.Conf.ContainerSettings.AllowIPForwarding,
	})
	return err
}

// note remembers for STATUS what the outcome means for the next command.
func (a *add) note(err error) {
	// calico-ipam, run for this command, has noted what it found.
	if a.asksAPI() && (err != nil || !a.Conf.IPAM.Exec) {
		a.Note(err, len(a.grants) > 0 && a.grants[len(a.grants)-1].Last())
	}
}

// mtuFile is where the node agent leaves the MTU that fits the node's links and encapsulation.
const mtuFile = "/var/lib/calico/mtu"

// readMTU returns the MTU of the pod's interface, 0 for the kernel's default.
func (a *attachment) readMTU() (int, error) {
	if a.Conf.MTU != 0 {
		return a.Conf.MTU, nil
	}
	data, err := a.ReadFile(mtuFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && a.Conf.RequireMTUFile:
		return 0, fmt.Errorf("%w: %s does not exist, and require_mtu_file is set: the node agent writes it; see that the calico-node pod runs on this node", nodeipam.ErrNotUp, mtuFile)
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read MTU file: %w", err)
	}
	mtu, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || mtu != 0 && mtu < netconf.LeastMTU || mtu > netconf.MostMTU {
		return 0, fmt.Errorf("%w: %s holds %q, want a number from 68 to 65535; the node agent writes it anew when restarted", nodeipam.ErrNotUp, mtuFile, data)
	}
	return mtu, nil
}
