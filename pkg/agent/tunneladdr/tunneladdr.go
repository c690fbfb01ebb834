// SPDX-License-Identifier: Apache-2.0

// Package tunneladdr keeps the tunnel addresses of a node allocated: those of its VXLAN and IPIP devices. Handles,
// attributes and annotations are those of Calico.
package tunneladdr

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/model"
)

// Addresses are the tunnel addresses of a node.
type Addresses struct {
	Allocator *ipam.Allocator
	Cluster   ipam.Cluster
	// Node is the name of the node.
	Node string
	Now  func() time.Time
}

// Ensure allocates the addresses that the pools need, releases the others, and returns the annotations that the node
// must have. An empty value means that the annotation must be absent. If one kind of addresses fails, its annotation is
// not in the result. annotations are those of the node now.
//
// An address is kept if the node owns it and a pool that may assign it still exists. A pool may assign addresses if it
// uses the encapsulation, is enabled and not being deleted, allows the use Tunnel, and selects the node.
func (a Addresses) Ensure(
	ctx context.Context, pools []model.Pool, annotations map[string]string,
) (map[string]string, error) {
	f := facts{node: a.Node, modes: pools}
	var err error
	if f.pools, err = a.Cluster.Pools(ctx); err != nil {
		return nil, err
	}
	if pool.NeedsNodeLabels(f.pools) {
		if f.labels, err = a.Cluster.NodeLabels(ctx, a.Node); err != nil {
			return nil, err
		}
	}
	want := map[string]string{}
	var errs []error
	for _, k := range kinds() {
		annotated, _ := netip.ParseAddr(annotations[k.annotation])
		addr, err := a.ensure(ctx, k, f, annotated)
		if err != nil {
			errs = append(errs, fmt.Errorf("ensure the %s: %w", k.kind, err))
			continue
		}
		if want[k.annotation] = ""; addr.IsValid() {
			want[k.annotation] = addr.String()
		}
	}
	return want, errors.Join(errs...)
}

// ensure returns the address of one kind, or the zero value if the node needs none.
func (a Addresses) ensure(ctx context.Context, k kind, f facts, annotated netip.Addr) (netip.Addr, error) {
	handle := k.handle + a.Node
	found, held, err := a.held(ctx, handle)
	if err != nil {
		return netip.Addr{}, err
	}
	d := k.decide(f, held, annotated)
	orphaned := found && !d.keep.IsValid() && len(held) == 0
	if len(d.release) == 0 && len(d.pools) == 0 && !orphaned {
		return d.keep, nil
	}
	view, err := a.Allocator.Gather(ctx, a.Cluster, a.Node, nil, false)
	if err != nil {
		return netip.Addr{}, err
	}
	if err := a.release(ctx, handle, d, view.Config.Cooldown); err != nil {
		return netip.Addr{}, err
	}
	if len(d.pools) == 0 {
		return d.keep, nil
	}
	got, err := a.Allocator.Assign(ctx, view, ipam.Request{
		Node: a.Node, Handle: handle,
		Owner: map[string]string{
			attributeNode: a.Node, attributeType: k.kind, attributeTime: a.Now().UTC().String(),
		},
		Wants: []ipam.Want{{IPv6: k.family == model.IPv6, Use: pool.Tunnel, Pools: d.pools}},
	})
	if err != nil {
		return netip.Addr{}, err
	}
	return got[0].Addr, nil
}

// held returns the addresses under a handle, and whether the handle exists.
func (a Addresses) held(ctx context.Context, handle string) (found bool, held []ipam.Held, err error) {
	h, err := a.Allocator.Lookup(ctx, handle)
	if err != nil || !h.Found() {
		return false, nil, err
	}
	held, err = a.Allocator.HeldByHandle(ctx, handle)
	return true, held, err
}

// release releases what a decision releases. If nothing stays, it also deletes the handle.
func (a Addresses) release(ctx context.Context, handle string, d decision, cooldown time.Duration) error {
	if !d.keep.IsValid() {
		_, err := a.Allocator.ReleaseHeld(ctx, handle, d.release, nil, cooldown)
		return err
	}
	for _, h := range d.release {
		if _, err := a.Allocator.ReleaseHolding(ctx, handle, h.Block, h.Holding, cooldown); err != nil {
			return err
		}
	}
	return nil
}
