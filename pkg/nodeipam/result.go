package nodeipam

import (
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// NamespaceNameLabel is a label that every namespace has for selectors, its name.
const NamespaceNameLabel = "projectcalico.org/name"

// Result is the CNI result of a grant, as IPAM plugins give it: no interfaces, an address with the prefix length of its
// block, or of a host when it was asked for by name, and a route for each.
func (g Grant) Result() *current.Result {
	r := &current.Result{CNIVersion: current.ImplementedSpecVersion}
	for _, got := range g.Assigned {
		bits := got.Block.Bits()
		if slices.Contains(g.Requested, got.Addr) {
			bits = got.Addr.BitLen()
		}
		address := ipNet(netip.PrefixFrom(got.Addr, bits))
		r.IPs = append(r.IPs, &current.IPConfig{Address: address})
		r.Routes = append(r.Routes, &types.Route{Dst: address})
	}
	return r
}

// mainPlugin is the type of the main plugin that takes a Result, and programs none of its routes.
const mainPlugin = "calico"

// pointToPoint is the type of a main plugin that gives the host's end of each pair the gateway as its address, and takes no result
// without one. Blocks have no gateway, so it gets link-local ones: those of calico itself.
const pointToPoint = "ptp"

var (
	linkLocal4 = net.IPv4(169, 254, 1, 1)
	linkLocal6 = net.ParseIP("fe80::ecee:eeff:feee:eeee")
)

// ResultFor is the Result for a main plugin. One that programs what it gets is given no routes: the kernel refuses them for
// their host bits, and makes them by itself from the addresses.
func (g Grant) ResultFor(plugin string) *current.Result {
	r := g.Result()
	if plugin == "" || plugin == mainPlugin {
		return r
	}
	r.Routes = nil
	for _, ip := range r.IPs {
		switch {
		case plugin != pointToPoint:
		case ip.Address.IP.To4() != nil:
			ip.Gateway = linkLocal4
		default:
			ip.Gateway = linkLocal6
		}
	}
	return r
}

func ipNet(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// NamespaceLabels are the labels of a namespace as pools select by them: its own and, whatever these say of it, its name.
func NamespaceLabels(name string, labels map[string]string) map[string]string {
	out := make(map[string]string, len(labels)+1)
	maps.Copy(out, labels)
	out[NamespaceNameLabel] = name
	return out
}
