// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"calico-cni/pkg/ipam/block"
)

// Held is one allocated address as it was read.
type Held struct {
	block.Holding
	Block netip.Prefix
	// Handle is the handle of the address. It is empty in rows of writers that had none.
	Handle string
	Owner  map[string]string
}

func heldByHandle(ctx context.Context, b backend, handle string) ([]Held, error) {
	h, err := handles{b}.lookup(ctx, handle)
	if err != nil || !h.found {
		return nil, err
	}
	all, err := heldIn(ctx, b, slices.Collect(maps.Keys(h.row.Value.Counts)))
	return slices.DeleteFunc(all, func(x Held) bool { return !block.SameHandle(x.Handle, handle) }), err
}

func heldByNode(ctx context.Context, b backend, node string, more []netip.Prefix) ([]Held, error) {
	rows, err := b.store.AffinitiesOf(ctx, node, false)
	if err != nil {
		return nil, err
	}
	cidrs := slices.Clone(more)
	for _, row := range rows {
		cidrs = append(cidrs, row.Key.CIDR)
	}
	return heldIn(ctx, b, cidrs)
}

// heldIn returns the allocated addresses of blocks, sorted, and the errors of blocks that cannot be read.
func heldIn(ctx context.Context, b backend, cidrs []netip.Prefix) ([]Held, error) {
	slices.SortFunc(cidrs, netip.Prefix.Compare)
	cidrs = slices.Compact(cidrs)
	found, errs := make([][]Held, len(cidrs)), make([]error, len(cidrs)+1)
	// The context of the group is not used: a block that cannot be read does not cancel the others.
	g, _ := b.group(ctx)
	for i, cidr := range cidrs {
		g.Go(func() error {
			row, err := get(ctx, b.store.Blocks(), cidr)
			if ignore(err, ErrNotFound) != nil {
				errs[i] = fmt.Errorf("read block %s: %w", cidr, err)
			}
			if err == nil {
				found[i] = heldOf(row.Value)
			}
			return nil
		})
	}
	errs[len(cidrs)] = g.Wait()
	return slices.Concat(found...), errors.Join(errs...)
}

func heldOf(b block.Block) []Held {
	var out []Held
	for _, h := range b.HeldBy(func(block.Attribute) bool { return true }) {
		if owner, ok := b.Holder(h.Addr); ok {
			out = append(out, Held{Holding: h, Block: b.CIDR, Handle: owner.Handle, Owner: owner.Owner})
		}
	}
	return out
}
