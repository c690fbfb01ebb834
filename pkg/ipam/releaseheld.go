// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"calico-cni/pkg/ipam/block"
)

func (r releases) releaseHolding(
	ctx context.Context, handle string, cidr netip.Prefix, h block.Holding, cooldown time.Duration,
) (bool, error) {
	holder, err := r.handles.lookup(ctx, handle)
	if err != nil {
		return false, err
	}
	released := false
	err = r.backend.retry(ctx, "release "+h.Addr.String(), func() error {
		row, err := get(ctx, r.backend.store.Blocks(), cidr)
		if err != nil {
			return ignore(err, ErrNotFound)
		}
		b := row.Value.Clone()
		if !b.Release(handle, h, r.backend.now(), cooldown) {
			return nil
		}
		err = r.putBlock(ctx, cidr, Row[block.Block]{Value: b, Rev: row.Rev})
		released = err == nil
		return err
	})
	if err != nil || !released || !holder.found {
		return released, err
	}
	err = r.handles.countDown(ctx, handle, holder.row, map[netip.Prefix]int{cidr: 1})
	return true, err
}

func (r releases) releaseHeld(
	ctx context.Context, handle string, held []Held, mine func(owner map[string]string) bool, cooldown time.Duration,
) ([]netip.Addr, error) {
	h, err := r.handles.lookup(ctx, handle)
	if err != nil {
		return nil, err
	}
	released, err := r.release(ctx, h, mine, cooldown)
	if err != nil {
		return released.Addrs, err
	}
	// Release the addresses that the handle does not count.
	for _, x := range held {
		if slices.Contains(released.Addrs, x.Addr) {
			continue
		}
		done, err := r.releaseHolding(ctx, handle, x.Block, x.Holding, cooldown)
		if err != nil {
			return released.Addrs, err
		}
		if done {
			released.Addrs = append(released.Addrs, x.Addr)
		}
	}
	return released.Addrs, nil
}
