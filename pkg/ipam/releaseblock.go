// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// blockReleases releases empty blocks of nodes: it deletes the block and the affinity. See claims for the order of the
// writes.
type blockReleases struct {
	backend    backend
	affinities affinities
	claims     claims
}

func newBlockReleases(b backend) blockReleases {
	return blockReleases{backend: b, affinities: affinities{b}, claims: newClaims(b)}
}

// release releases an affinity whose block was empty when row was read: it marks the affinity, deletes the block, and
// deletes the affinity. If another process has written to the block since, release restores the affinity and returns
// errNotOwned.
func (r blockReleases) release(ctx context.Context, key AffinityKey, row Row[block.Block]) error {
	affinity, err := r.affinities.mark(ctx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	marked := err == nil
	err = remove(ctx, r.backend.store.Blocks(), key.CIDR, row)
	switch {
	case errors.Is(err, ErrConflict) && marked:
		return errors.Join(errNotOwned, r.unmark(ctx, key, affinity))
	case errors.Is(err, ErrConflict):
		return errNotOwned
	case err != nil || !marked:
		return err
	}
	return ignore(remove(ctx, r.backend.store.Affinities(), key, affinity), ErrConflict)
}

// releaseIfEmpty releases an affinity whose block is empty or does not exist, and reports whether it did.
func (r blockReleases) releaseIfEmpty(ctx context.Context, key AffinityKey) (bool, error) {
	row, err := get(ctx, r.backend.store.Blocks(), key.CIDR)
	switch {
	case errors.Is(err, ErrNotFound):
		return r.drop(ctx, key)
	case err != nil:
		return false, err
	case row.Value.Affinity != hostAffinity(key.Node) || !r.backend.empty(row.Value):
		return false, nil
	}
	err = r.release(ctx, key, row)
	if errors.Is(err, errNotOwned) {
		return false, nil
	}
	return err == nil, err
}

// drop deletes an affinity whose block does not exist. An interrupted release leaves such a row.
func (r blockReleases) drop(ctx context.Context, key AffinityKey) (bool, error) {
	row, err := get(ctx, r.backend.store.Affinities(), key)
	if err == nil {
		err = remove(ctx, r.backend.store.Affinities(), key, row)
	}
	return true, ignore(err, ErrNotFound, ErrConflict)
}

// unmark restores an affinity whose block turned out to be in use, unless the node no longer owns the block.
func (r blockReleases) unmark(ctx context.Context, key AffinityKey, affinity Row[Affinity]) error {
	row, err := get(ctx, r.backend.store.Blocks(), key.CIDR)
	if err != nil || row.Value.Affinity != hostAffinity(key.Node) {
		return ignore(err, ErrNotFound)
	}
	_, err = r.claims.repair(ctx, AffinityRow{key, affinity})
	return ignore(err, errNotOwned)
}

// releaseUnselected releases the empty blocks of affinities that lie in no pool that selects their node. It reads the
// pools, and the labels of the nodes if a pool has a node selector.
func (r blockReleases) releaseUnselected(ctx context.Context, cluster Cluster, keys []AffinityKey) error {
	if len(keys) == 0 {
		return nil
	}
	pools, err := cluster.Pools(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		set := poolSet{pools: pools}
		if pool.NeedsNodeLabels(pools) {
			// A node that does not exist has no labels.
			if set.nodeLabels, err = cluster.NodeLabels(ctx, key.Node); ignore(err, ErrNotFound) != nil {
				return err
			}
		}
		if set.selects(key.CIDR) {
			continue
		}
		if _, err := r.releaseIfEmpty(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
