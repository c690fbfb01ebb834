package nodeipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	current "github.com/containernetworking/cni/pkg/types/100"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/workload"
)

// ErrNotHeld says that an address in use is not the attachment's in IPAM: another pod may get it, or has got it.
var ErrNotHeld = errors.New("address is not allocated to the attachment")

// Check returns an error that wraps ErrNotHeld, and names each address, unless the attachment holds all of them.
func (a Allocations) Check(ctx context.Context, network string, id workload.ID, addrs []netip.Addr) error {
	handle := id.HandleID(network)
	held, err := a.allocator(a.remembered).HeldByHandle(ctx, handle)
	if err != nil {
		return err
	}
	var wrong []string
	for _, addr := range addrs {
		i := slices.IndexFunc(held, func(h ipam.Held) bool { return h.Addr == addr })
		switch {
		case i < 0:
			wrong = append(wrong, fmt.Sprintf("%s is not held by handle %s", addr, handle))
		case id.Kubernetes() && !isOwner(held[i].Owner, id):
			wrong = append(wrong, fmt.Sprintf("%s is held for pod %s/%s, not %s/%s",
				addr, held[i].Owner["namespace"], held[i].Owner["pod"], id.Namespace, id.Pod))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	// While the datastore is moved or mended, what is missing may be on its way.
	if err := a.Cluster.Ready(ctx); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s: delete the pod, so that its successor gets an address of its own", ErrNotHeld, strings.Join(wrong, "; "))
}

// isOwner reports whether a holding is the pod's, as far as it says.
func isOwner(owner map[string]string, id workload.ID) bool {
	return owner["pod"] == "" || owner["pod"] == id.Pod && owner["namespace"] == id.Namespace
}

// Previous returns the result that a CHECK has to bring, or an error that wraps netconf.ErrInvalid.
func Previous(conf *netconf.NetConf) (*current.Result, error) {
	previous, err := conf.PrevResult()
	if err == nil && previous == nil {
		err = fmt.Errorf("%w: CHECK without prevResult: want the result of the ADD; the runtime sets it", netconf.ErrInvalid)
	}
	return previous, err
}

// AddrsOf returns the addresses that a result gives an interface of the container, IPv4 first: the one in netns, where others in
// the result have its name. Addresses of no interface, as IPAM plugins and old versions of the specification return them, are
// its own where it has no others; else they are what an earlier plugin of the chain brought.
func AddrsOf(r *current.Result, ifName, netns string) []netip.Addr {
	if r == nil {
		return nil
	}
	inPod := interfaceOf(r, ifName, netns)
	var own, nobodys []netip.Addr
	for _, ip := range r.IPs {
		addr, ok := netip.AddrFromSlice(ip.Address.IP)
		switch i := ip.Interface; {
		case !ok:
		case i == nil || *i < 0 || *i >= len(r.Interfaces):
			nobodys = append(nobodys, addr.Unmap())
		case *i == inPod:
			own = append(own, addr.Unmap())
		}
	}
	if own == nil {
		own = nobodys
	}
	slices.SortStableFunc(own, func(x, y netip.Addr) int { return x.BitLen() - y.BitLen() })
	return own
}

// interfaceOf returns the index of a container's interface in a result, below 0 where there is none.
func interfaceOf(r *current.Result, ifName, netns string) int {
	in := func(sandbox string) int {
		return slices.IndexFunc(r.Interfaces, func(n *current.Interface) bool {
			return n != nil && n.Name == ifName && n.Sandbox != "" && (n.Sandbox == sandbox || sandbox == "")
		})
	}
	if i := in(netns); i >= 0 {
		return i
	}
	return in("")
}
