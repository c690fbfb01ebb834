// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/invocation"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
)

// Check returns nil if the attachment is as the ADD left it, and otherwise all differences. It changes nothing.
func (p *Plugin) Check(ctx context.Context, args *skel.CmdArgs) (err error) {
	ctx, cancel := deadline.Within(ctx, checkDeadline, "CHECK")
	defer cancel()
	a, err := p.newAttachment("CHECK", args)
	if err != nil {
		return err
	}
	previous, err := invocation.Previous(a.call.Conf)
	if err != nil {
		return err
	}
	addrs := invocation.AddrsOf(previous, a.call.ID.IfName, a.call.CNI.Netns)
	defer func() { a.call.Finish(ctx, addrs, err) }()

	spec, err := a.expectedSpec(previous, addrs)
	if err != nil {
		return err
	}
	return errors.Join(
		a.call.Step(ctx, "check interface", func() error { return a.dataplane.Check(ctx, spec) }),
		a.call.Step(ctx, "check addresses", func() error { return a.checkAddrs(ctx, addrs) }))
}

// expectedSpec returns the interface according to the result of the ADD, which later plugins of the chain may have
// changed.
func (a *attachment) expectedSpec(r *current.Result, addrs []netip.Addr) (dataplane.Spec, error) {
	target := a.target()
	spec := dataplane.Spec{
		Handle: target.Handle, NetNS: target.NetNS, IfName: target.IfName, HostIfName: target.HostIfName, Addrs: addrs,
		NoHostRoutes: a.call.Conf.IPAM.Type == netconf.CalicoIPAM && len(r.Routes) == 0,
		Routes:       a.call.Conf.PodRoutes(),
	}
	var inPod *current.Interface
	for _, n := range r.Interfaces {
		switch {
		case n == nil:
		case n.Sandbox == "" && n.Name == target.SecondHostIfName:
			spec.HostIfName = n.Name
		case n.Sandbox != "" && n.Name == a.call.ID.IfName && (inPod == nil || n.Sandbox == a.call.CNI.Netns):
			inPod = n
		}
	}
	switch {
	case inPod == nil:
		return spec, fmt.Errorf("%w: prevResult has no interface %s of a container; want the result of the ADD, which the "+
			"runtime sets", dataplane.ErrBroken, a.call.ID.IfName)
	case inPod.Sandbox != a.call.CNI.Netns:
		return spec, fmt.Errorf("%w: prevResult has %s in sandbox %s, CNI_NETNS is %s; want those of the ADD, which the "+
			"runtime sets", dataplane.ErrBroken, a.call.ID.IfName, inPod.Sandbox, a.call.CNI.Netns)
	case len(addrs) == 0:
		return spec, fmt.Errorf("%w: prevResult has no address of %s; want the result of the ADD, which the runtime "+
			"sets", dataplane.ErrBroken, a.call.ID.IfName)
	}
	spec.MTU = inPod.Mtu
	if mac, err := net.ParseMAC(inPod.Mac); err == nil {
		spec.MAC = mac
	}
	return spec, nil
}

// checkAddrs checks with IPAM that the addresses belong to the attachment.
func (a *attachment) checkAddrs(ctx context.Context, addrs []netip.Addr) error {
	if !a.blockIPAM() {
		return a.unlessOwn(ctx, addrs, a.delegate().check(ctx))
	}
	if err := a.call.Connect(); err != nil {
		return err
	}
	return a.unlessOwn(ctx, addrs, a.ipam.Allocations().Check(ctx, a.call.Conf.Name, a.call.ID, addrs))
}

// unlessOwn drops the error of an IPAM plugin that has not allocated the addresses if they come from the pod's
// annotation ipAddrsNoIpam.
func (a *attachment) unlessOwn(ctx context.Context, addrs []netip.Addr, err error) error {
	var answer *types.Error
	unknown := errors.Is(err, nodeipam.ErrNotHeld) || errors.As(err, &answer)
	if unknown && a.call.Conf.FeatureControl.IPAddrsNoIPAM && a.hasOwnAddrs(ctx, addrs) {
		return nil
	}
	return err
}

// hasOwnAddrs reports whether the addresses come from the pod's annotation ipAddrsNoIpam.
func (a *attachment) hasOwnAddrs(ctx context.Context, addrs []netip.Addr) bool {
	if !a.call.ID.Kubernetes() || a.call.Connect() != nil {
		return false
	}
	pod, err := a.readPod(ctx)
	if err != nil {
		return false
	}
	annotations, err := a.call.Conf.Annotations(pod.Annotations, nil)
	if err != nil || len(annotations.IPAddrsNoIPAM) == 0 {
		return false
	}
	return slices.Equal(addresses(hosts(annotations.IPAddrsNoIPAM)), addrs)
}
