// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"calico-cni/pkg/ipam/pool"
)

// findAddr returns the block of a specific address. If no block has the address, it claims one.
func (f *finder) findAddr(ctx context.Context, w Want) (found place, err error) {
	p, ok := pool.Containing(f.plan.pools.pools, w.Addr)
	if !ok {
		return place{}, fmt.Errorf("%w: requested address %s lies in no pool; choose one of a pool's addresses",
			pool.ErrUnknownPool, w.Addr)
	}
	if err := p.Usable(w.use()); err != nil {
		return place{}, fmt.Errorf("requested address %s: %w", w.Addr, err)
	}
	for pass, again := 1, true; again; pass++ {
		err = f.backend.retry(ctx, "assign address "+w.Addr.String(), func() (err error) {
			found, err = f.blockOf(ctx, w, p.Block(w.Addr))
			return err
		})
		collided := err
		if again, err = f.collisionsGone(ctx, pass); err == nil {
			err = collided
		}
	}
	if err != nil {
		return place{}, err
	}
	owner := found.row.Value.Affinity
	if f.plan.config.StrictAffinity && owner != hostAffinity(f.plan.own.node) {
		return place{}, fmt.Errorf("%w: %s lies in block %s of %s, and IPAMConfig.strictAffinity forbids borrowing from it "+
			"(request an address of the node, or set it to false)", ErrBorrowForbidden, w.Addr, found.cidr, ownerName(owner))
	}
	return found, f.plan.picker.room(found)
}

// blockOf returns the block that has an address, whatever its size. If there is none, it claims the pool's block for
// the address. It returns ErrConflict if the blocks change during the search.
func (f *finder) blockOf(ctx context.Context, w Want, ofPool netip.Prefix) (place, error) {
	found, err := f.read(ctx, w, ofPool)
	if !errors.Is(err, ErrNotFound) {
		return found, err
	}
	cidrs, err := f.backend.store.BlocksOverlapping(ctx, netip.PrefixFrom(w.Addr, w.Addr.BitLen()))
	if err != nil {
		return place{}, err
	}
	if len(cidrs) > 0 {
		found, err = f.read(ctx, w, cidrs[0])
		return found, asConflict(err)
	}
	mine, err := f.claims.claim(ctx, f.plan.own.node, ofPool)
	var overlap *OverlapError
	switch {
	case errors.As(err, &overlap):
		f.collisions = append(f.collisions, overlap)
		return place{}, fmt.Errorf("%w: requested address %s: %w", ErrAddrTaken, w.Addr, overlap)
	case errors.Is(err, errNotOwned):
		// Another process created the block.
		return place{}, errors.Join(ErrConflict, err)
	case err != nil:
		return place{}, err
	}
	return place{want: w, cidr: ofPool, row: mine.row, checked: mine.checked}, nil
}

// read reads a block that has a specific address, and checks that no other block has the address too.
func (f *finder) read(ctx context.Context, w Want, cidr netip.Prefix) (place, error) {
	row, err := get(ctx, f.backend.store.Blocks(), cidr)
	if err != nil {
		return place{}, err
	}
	found := place{want: w, cidr: cidr, row: row}
	if row.Value.Affinity == hostAffinity(f.plan.own.node) {
		// An affinity that was not read is verified later: see View.Verified.
		if affinity, known := f.plan.own.affinityOf(cidr); known && affinity.Value.State != Confirmed {
			var mine claimed
			if mine, err = f.claims.resume(ctx, affinity); err == nil {
				f.plan.own.confirm(cidr)
				found.row, found.checked = mine.row, mine.checked
			}
		}
		if err == nil {
			err = f.plan.checkOverlap(ctx, found)
		}
	} else {
		// The whole block is checked, not only the address: its owner relies on the check of every block in use.
		err = f.plan.overlaps.check(ctx, cidr)
	}
	var overlap *OverlapError
	if errors.As(err, &overlap) {
		return place{}, fmt.Errorf("%w: requested address %s: %w", ErrAddrTaken, w.Addr, overlap)
	}
	return found, err
}
