// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// Request asks for one address per want. The request gets all of them or none.
type Request struct {
	// Node is the node that the addresses are for. Handle is the ID under which they are allocated and released.
	Node, Handle string
	// Owner is stored with each address: pod, namespace, node, timestamp. It must differ from request to request, for
	// example by the timestamp, because a failed request is reverted by its owner.
	Owner map[string]string
	// NamespaceLabels are the labels that namespace selectors of pools apply to.
	NamespaceLabels map[string]string
	// Wants has at most one entry per IP family.
	Wants []Want
	// Subnet says that the addresses are used with the prefix length of their block. Hosts then treat the first and the
	// last IPv4 address of a block as network and broadcast address, and the first IPv6 address as the anycast address
	// of its routers (RFC 4291, section 2.6.1). These addresses are not allocated, unless they are requested.
	Subnet bool
	// SameAttachment reports whether an owner under the handle is the attachment of this request, from an earlier run
	// of the same ADD. If that run allocated what this request wants, Assign returns its addresses instead of new
	// ones. Nil always allocates.
	SameAttachment func(owner map[string]string) bool
}

// owns reports whether this request has allocated an address. The owner contains the time of the request.
func (r Request) owns(o block.Attribute) bool {
	return block.SameHandle(o.Handle, r.Handle) && maps.Equal(o.Owner, r.Owner)
}

// Want is one wanted address.
type Want struct {
	IPv6 bool
	// Use is what the address is for. Only pools that allow it serve the want. Empty means Workload.
	Use pool.Use
	// Pools are names or CIDRs of the pools to use. If empty, the selectors of the pools decide.
	Pools []string
	// Addr is a specific address. The zero value lets the allocator choose one.
	Addr netip.Addr
}

// use returns what the address is for.
func (w Want) use() pool.Use { return cmp.Or(w.Use, pool.Workload) }

// Assigned is one address that the request holds.
type Assigned struct {
	Addr netip.Addr
	// Block is the block of the address. Borrowed says that another node owns the block. Last says that the block has
	// no other address to allocate now.
	Block          netip.Prefix
	Borrowed, Last bool
	// Existing says that an earlier run of the same request allocated the address.
	Existing bool
}

// matchExisting returns one of the held addresses for each want, in the order of the wants. It returns nil if the held
// addresses are not exactly what the wants ask for.
func matchExisting(wants []Want, held []Held) []Assigned {
	if len(held) != len(wants) {
		return nil
	}
	var got []Assigned
	for _, w := range wants {
		i := slices.IndexFunc(held, func(h Held) bool {
			return h.Addr.Is6() == w.IPv6 && (!w.Addr.IsValid() || w.Addr == h.Addr)
		})
		if i < 0 {
			return nil
		}
		got = append(got, Assigned{Addr: held[i].Addr, Block: held[i].Block, Existing: true})
	}
	return got
}
