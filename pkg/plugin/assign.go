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
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
)

// assign gets the addresses: from our own allocator in this process, from another IPAM plugin as the specification has
// it, or from nobody where the pod brings its own. It pushes what gives them back.
func (a *addRun) assign(ctx context.Context) (err error) {
	switch own := a.facts.annotations.IPAddrsNoIPAM; {
	case own != nil:
		a.ips = hosts(own)
	case a.attachment.blockIPAM():
		a.undo.Push(a.withdraw)
		err = a.assignBlock(ctx, a.request())
	default:
		a.ips, err = a.delegateAdd(ctx)
	}
	return err
}

func (a *addRun) assignBlock(ctx context.Context, r nodeipam.Request) error {
	grant, err := a.ipam.Allocations().Assign(ctx, a.facts.view, r)
	if err != nil {
		return err
	}
	a.grants, a.ips = append(a.grants, grant), invocation.Result(grant)
	return nil
}

// withdraw gives back all that block IPAM gave.
func (a *addRun) withdraw(ctx context.Context) error {
	var errs []error
	for _, grant := range a.grants {
		errs = append(errs, a.ipam.Allocations().Withdraw(ctx, grant))
	}
	a.grants = nil
	return errors.Join(errs...)
}

// reassign gives up the addresses for others. The old ones are kept until there are new ones, so that they are not the
// same. Those that cannot be given back fail the ADD, whose undo tries once more; what is left then is for the DEL that
// follows a failed ADD, and hangs on the same handle until it comes.
func (a *addRun) reassign(ctx context.Context) error {
	r := a.request()
	r.Another = true
	if err := a.assignBlock(ctx, r); err != nil {
		return err
	}
	if err := a.ipam.Allocations().Withdraw(ctx, a.grants[0]); err != nil {
		return err
	}
	a.grants = a.grants[1:]
	return nil
}

// families stands for the addresses of the families that are wanted, before there are any.
func (a *addRun) families() []netip.Addr {
	if own := a.facts.annotations.IPAddrsNoIPAM; own != nil {
		return own
	}
	if a.call.Conf.IPAM.Type != netconf.CalicoIPAM {
		return nil
	}
	var out []netip.Addr
	r := a.request()
	if r.IPv4.Wanted {
		out = append(out, netip.IPv4Unspecified())
	}
	if r.IPv6.Wanted {
		out = append(out, netip.IPv6Unspecified())
	}
	return out
}

// hosts is the result of addresses that nobody allocated.
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
