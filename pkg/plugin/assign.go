// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/pkg/invocation"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
)

// assign gets the addresses from block IPAM in this process, from an IPAM plugin in a separate process, or from the
// pod's annotation ipAddrsNoIpam. It pushes the undo.
func (a *addRun) assign(ctx context.Context) (err error) {
	switch own := a.facts.annotations.IPAddrsNoIPAM; {
	case own != nil:
		a.ips = hosts(own)
	case a.attachment.blockIPAM():
		a.undo.Push(a.grants.withdraw)
		a.ips, err = a.grants.assign(ctx, a.facts.view, a.request())
	default:
		a.ips, err = a.delegateAdd(ctx)
	}
	return err
}

// blockGrants are the addresses that block IPAM has allocated in this ADD. The last grant is in use.
type blockGrants struct {
	ipam *nodeipam.Node
	list []nodeipam.Grant
}

// assign allocates addresses and returns them as a result.
func (g *blockGrants) assign(ctx context.Context, view ipam.View, r nodeipam.Request) (*current.Result, error) {
	grant, err := g.ipam.Allocations().Assign(ctx, view, r)
	if err != nil {
		return nil, err
	}
	g.list = append(g.list, grant)
	return invocation.Result(grant), nil
}

// withdraw releases all grants.
func (g *blockGrants) withdraw(ctx context.Context) error {
	var errs []error
	for _, grant := range g.list {
		errs = append(errs, g.ipam.Allocations().Withdraw(ctx, grant))
	}
	g.list = nil
	return errors.Join(errs...)
}

// replace allocates other addresses and then releases the first grant. This order ensures that the new addresses
// differ. If the release fails, replace returns the new addresses and an error. The ADD then fails, and its undo
// retries the release. If that fails too, the DEL after the failed ADD releases the addresses, because they have the
// same handle.
func (g *blockGrants) replace(ctx context.Context, view ipam.View, r nodeipam.Request) (*current.Result, error) {
	r.Additional = true
	result, err := g.assign(ctx, view, r)
	if err != nil {
		return nil, err
	}
	if err := g.ipam.Allocations().Withdraw(ctx, g.list[0]); err != nil {
		return result, err
	}
	g.list = g.list[1:]
	return result, nil
}

// last reports whether the addresses in use are the last free ones of the node's blocks.
func (g *blockGrants) last() bool { return len(g.list) > 0 && g.list[len(g.list)-1].Last() }

// families returns the addresses of the annotation ipAddrsNoIpam if the pod has one. Otherwise it returns the
// unspecified address of each family that the pod requests.
func families(own []netip.Addr, conf *netconf.NetConf, r nodeipam.Request) []netip.Addr {
	if own != nil {
		return own
	}
	if conf.IPAM.Type != netconf.CalicoIPAM {
		return nil
	}
	var out []netip.Addr
	if r.IPv4.Wanted {
		out = append(out, netip.IPv4Unspecified())
	}
	if r.IPv6.Wanted {
		out = append(out, netip.IPv6Unspecified())
	}
	return out
}

// hosts returns a result with addresses that no IPAM plugin allocated.
func hosts(addrs []netip.Addr) *current.Result {
	r := &current.Result{CNIVersion: current.ImplementedSpecVersion}
	for _, addr := range addrs {
		r.IPs = append(r.IPs, &current.IPConfig{Address: host(addr)})
		r.Routes = append(r.Routes, &types.Route{Dst: host(addr)})
	}
	return r
}

func host(addr netip.Addr) net.IPNet {
	return net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(addr.BitLen(), addr.BitLen())}
}

// addresses returns the addresses of a result, IPv4 first.
func addresses(r *current.Result) []netip.Addr {
	if r == nil {
		return nil
	}
	var out []netip.Addr
	for _, ip := range r.IPs {
		if addr, ok := netip.AddrFromSlice(ip.Address.IP); ok {
			out = append(out, addr.Unmap())
		}
	}
	slices.SortStableFunc(out, func(x, y netip.Addr) int { return x.BitLen() - y.BitLen() })
	return out
}
