// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/workload"
)

// maxClaimed is how many addresses of each pod CIDR are claimed for a node: more than the pods of a node, which the
// kubelet limits to 110 by default.
const maxClaimed = 256

// Adopter takes over the addresses that another IPAM plugin allocated to the containers of a node in a network.
type Adopter struct {
	allocations   Allocations
	network, node string
	connection    Connection
	view          ipam.View
	deletions     nodestate.Deletions
}

// NewAdopter returns the adopter of a node in a network. lockFile serializes adopters on this node.
func NewAdopter(
	disk Disk, c Connection, group crdstore.Group, network, node, lockFile string, log *slog.Logger,
) *Adopter {
	store := crdstore.New(c, group, disk.labelled())
	return &Adopter{
		allocations: Allocations{
			Store: store, Cluster: store, LockFile: lockFile, borrowed: disk.borrowed(),
			cache: disk.blockCache(c, store), Now: disk.Now, Log: log,
		},
		network: network, node: node, connection: c, deletions: disk.deletions(),
	}
}

// Claim reads the cluster and claims the blocks of the node's pod CIDRs, up to 256 addresses of each, if pools contain
// them. With these blocks the node does not claim blocks in the pod CIDRs of nodes that are not migrated yet. An error
// wraps ipam.ErrNotReady, kubeapi.ErrNotFound, pool.ErrInvalid for a block that two nodes would share, or an error of
// the store.
func (a *Adopter) Claim(ctx context.Context) error {
	var err error
	allocator := a.allocations.allocator(a.allocations.cache)
	if a.view, err = allocator.Gather(ctx, a.allocations.Cluster, a.node, nil, false); err != nil {
		return err
	}
	cidrs, err := kubeapi.PodCIDRs(ctx, a.connection, a.node)
	if err != nil {
		return err
	}
	for _, cidr := range cidrs {
		if err := a.claimWithin(ctx, cidr.Masked()); err != nil {
			return err
		}
	}
	return nil
}

func (a *Adopter) claimWithin(ctx context.Context, cidr netip.Prefix) error {
	room := 0
	for addr := cidr.Addr(); room < maxClaimed && cidr.Contains(addr); {
		p, ok := pool.Containing(a.view.Pools, addr)
		if !ok || p.Usable(pool.Workload) != nil {
			// No address is allocated from this block.
			return nil
		}
		b := p.Block(addr)
		if b.Bits() < cidr.Bits() {
			return fmt.Errorf("claim the pod CIDR %s of node %s: %w %s: blocks of /%d are larger than the pod CIDR, so two "+
				"nodes would share a block; recreate the pool with blockSize %d or more",
				cidr, a.node, pool.ErrInvalid, p.Name, b.Bits(), cidr.Bits())
		}
		allocator := a.allocations.allocator(a.allocations.cache)
		obstacle, err := allocator.Claim(ctx, a.node, b, a.view.Config.Cooldown)
		if err != nil {
			return err
		}
		if obstacle != nil {
			a.allocations.Log.Warn("a block of the node's pod CIDR is not claimed", "block", b, "pod_cidr", cidr,
				"error", obstacle)
		}
		room += 1 << (b.Addr().BitLen() - b.Bits())
		addr = last(b).Next()
	}
	return nil
}

// last returns the last address of a block.
func last(b netip.Prefix) netip.Addr {
	bytes := b.Addr().AsSlice()
	for bit := b.Bits(); bit < b.Addr().BitLen(); bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

// Held returns the addresses of the attachment's handle, for all interfaces.
func (a *Adopter) Held(ctx context.Context, id workload.ID) ([]netip.Addr, error) {
	held, err := a.allocations.allocator(a.allocations.cache).HeldByHandle(ctx, id.HandleID(a.network))
	var addrs []netip.Addr
	for _, h := range held {
		addrs = append(addrs, h.Addr)
	}
	return addrs, err
}

// Take allocates the specific address to the attachment. An error wraps pool.ErrUnknownPool if no pool contains it, and
// ipam.ErrAddrTaken if it is allocated to another handle.
func (a *Adopter) Take(ctx context.Context, id workload.ID, addr netip.Addr) error {
	// The record of an earlier DEL does not cover this address.
	key := nodestate.Key{Network: a.network, ContainerID: id.ContainerID, IfName: id.IfName}
	if err := a.deletions.Remove(key); err != nil {
		return err
	}
	r := Request{Network: a.network, Node: a.node, ID: id, Additional: true}
	r.RequestAddrs([]netip.Addr{addr})
	_, err := a.allocations.Assign(ctx, a.view, r)
	return err
}

// ReleaseAll releases all addresses of the attachment. It succeeds if there are none.
func (a *Adopter) ReleaseAll(ctx context.Context, id workload.ID) error {
	held, err := a.allocations.Lookup(ctx, a.network, id)
	if err != nil {
		return err
	}
	_, err = a.allocations.Release(ctx, held, Evidence{})
	return err
}
