package plugin

import (
	"context"
	"net/netip"
	"slices"

	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/internal/undo"
	"calico-cni/pkg/ipamplugin"
)

// assign gets the addresses: from our own allocator in this process, or from another IPAM plugin as the specification
// has it. It pushes what gives them back.
func (a *attachment) assign(ctx context.Context, f facts, u *undo.Stack) (*current.Result, error) {
	if !a.blockIPAM() {
		return a.delegate(ctx, f, u)
	}
	allocations := a.allocations()
	grant, err := allocations.Assign(ctx, f.view, a.request(f))
	if err != nil {
		return nil, err
	}
	u.Push(func(ctx context.Context) error { return allocations.Withdraw(ctx, grant) })
	return grant.Result(), nil
}

// request is what configuration, annotations and arguments together ask of block IPAM. The pod's annotations count
// most, then the namespace's, then what the runtime asks for, then the configuration.
func (a *attachment) request(f facts) ipamplugin.Request {
	r := ipamplugin.Request{
		Network: a.conf.Name, Node: f.node, ID: a.id,
		IPv4: ipamplugin.Family{Wanted: a.conf.IPAM.AssignIPv4, Pools: a.conf.IPAM.IPv4Pools},
		IPv6: ipamplugin.Family{Wanted: a.conf.IPAM.AssignIPv6, Pools: a.conf.IPAM.IPv6Pools},
	}
	if a.id.Kubernetes() {
		r.NamespaceLabels = ipamplugin.NamespaceLabels(a.id.Namespace, f.namespace.Labels)
	}
	if f.annotations.IPv4Pools != nil {
		r.IPv4.Pools = f.annotations.IPv4Pools
	}
	if f.annotations.IPv6Pools != nil {
		r.IPv6.Pools = f.annotations.IPv6Pools
	}
	if families := f.annotations.Families; families.IPv4 || families.IPv6 {
		r.IPv4.Wanted, r.IPv6.Wanted = families.IPv4, families.IPv6
	}
	if f.annotations.IPAddrs != nil {
		r.Name(f.annotations.IPAddrs)
	} else {
		r.Name(ipamplugin.RequestedAddrs(a.conf, a.cniArgs))
	}
	return r
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
