// SPDX-License-Identifier: Apache-2.0

package tunneladdr

import (
	"net/netip"
	"slices"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/model"
)

// kind is a kind of tunnel addresses.
type kind struct {
	// handle begins the handle of an address; the name of the node follows. kind is the attribute "type".
	handle, kind, annotation string
	family                   model.Family
	mode                     func(model.Pool) model.Mode
}

func vxlanMode(p model.Pool) model.Mode { return p.VXLAN }

func ipipMode(p model.Pool) model.Mode { return p.IPIP }

// kinds returns the kinds of tunnel addresses.
func kinds() []kind {
	return []kind{
		{"vxlan-tunnel-addr-", "vxlanTunnelAddress", model.AnnotationIPv4VXLANAddr, model.IPv4, vxlanMode},
		{"vxlan-v6-tunnel-addr-", "vxlanV6TunnelAddress", model.AnnotationIPv6VXLANAddr, model.IPv6, vxlanMode},
		{"ipip-tunnel-addr-", "ipipTunnelAddress", model.AnnotationIPv4IPIPAddr, model.IPv4, ipipMode},
	}
}

// The attributes of a tunnel address.
const (
	attributeNode = "node"
	attributeType = "type"
	attributeTime = "timestamp"
)

// facts are what a decision depends on.
type facts struct {
	node   string
	labels map[string]string
	// modes are the pools with their encapsulations, pools the same with what concerns allocation.
	modes []model.Pool
	pools []pool.Pool
}

// decision is what to do about one kind of addresses.
type decision struct {
	// keep is the address that stays. It is the zero value if there is none.
	keep netip.Addr
	// release are the addresses to release.
	release []ipam.Held
	// pools are the names of the pools for a new address. It is empty if no new address is needed, or possible.
	pools []string
}

// decide decides about the addresses under the handle of a kind. annotated is the address in the annotation of the
// node.
func (k kind) decide(f facts, held []ipam.Held, annotated netip.Addr) decision {
	eligible, inUse := k.eligible(f)
	var d decision
	var keep []ipam.Held
	for _, h := range held {
		p, _ := pool.Containing(f.pools, h.Addr)
		ours := h.Owner[attributeNode] == f.node && h.Owner[attributeType] == k.kind
		// Without a pool for a new address, the old one stays as long as a pool uses the encapsulation: pods of a pool
		// that was disabled need it.
		if ours && (slices.Contains(eligible, p.Name) || len(eligible) == 0 && inUse) {
			keep = append(keep, h)
		} else {
			d.release = append(d.release, h)
		}
	}
	if len(keep) == 0 {
		d.pools = eligible
		return d
	}
	i := max(0, slices.IndexFunc(keep, func(h ipam.Held) bool { return h.Addr == annotated }))
	d.keep = keep[i].Addr
	d.release = append(d.release, slices.Delete(keep, i, i+1)...)
	return d
}

// eligible returns the names of the pools from which an address of the kind may be allocated. inUse reports whether any
// pool uses the encapsulation, apart from those that are being deleted.
func (k kind) eligible(f facts) (names []string, inUse bool) {
	for _, m := range f.modes {
		i := slices.IndexFunc(f.pools, func(p pool.Pool) bool { return p.Name == m.Name })
		if i < 0 || m.Family() != k.family || k.mode(m) == model.Never {
			continue
		}
		p := f.pools[i]
		inUse = inUse || !p.Deleting
		if p.Usable(pool.Tunnel) == nil && p.Selects(f.labels) {
			names = append(names, p.Name)
		}
	}
	return names, inUse
}
