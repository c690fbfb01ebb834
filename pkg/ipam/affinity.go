// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// idleAfter is how long another node must have owned an empty block before the block may be taken over. A block that
// was claimed more recently may be about to be used.
const idleAfter = time.Minute

// takeOver claims a block of another node if it is still empty and has been claimed for idleAfter. Otherwise it returns
// errNotOwned. The affinity of the other node is released first, as that node itself would do, so that any process can
// complete an interrupted takeover.
func (c claims) takeOver(ctx context.Context, node string, cidr netip.Prefix) (claimed, error) {
	row, err := get(ctx, c.backend.store.Blocks(), cidr)
	switch {
	case errors.Is(err, ErrNotFound):
		return c.claim(ctx, node, cidr)
	case err != nil:
		return claimed{}, err
	}
	if !c.backend.idle(row.Value) {
		return claimed{}, errNotOwned
	}
	if err := c.release(ctx, keyOf(row.Value), row); err != nil {
		return claimed{}, err
	}
	return c.claim(ctx, node, cidr)
}

// replace claims a block after it has released the blocks of other nodes that overlap it. It returns errNotOwned if
// one of them may not be taken over.
func (c claims) replace(ctx context.Context, node string, cidr netip.Prefix) (claimed, error) {
	rows, err := c.overlaps.idle(ctx, node, cidr)
	if err != nil {
		return claimed{}, err
	}
	for _, row := range rows {
		if err := c.release(ctx, keyOf(row.Value), row); err != nil {
			return claimed{}, err
		}
	}
	return c.takeOver(ctx, node, cidr)
}

// idle reports whether nodes may take over a block of another node. A claim time in the future comes from a clock that
// was ahead, and counts as past.
func (b backend) idle(x block.Block) bool {
	return strings.HasPrefix(x.Affinity, hostPrefix) && b.empty(x) && b.now().Sub(x.ClaimTime).Abs() > idleAfter
}

// keyOf returns the key of the affinity of a block that belongs to a node.
func keyOf(b block.Block) AffinityKey {
	return AffinityKey{strings.TrimPrefix(b.Affinity, hostPrefix), b.CIDR}
}

// release releases an affinity whose block was empty when row was read: it marks the affinity, deletes the block, and
// deletes the affinity. If another process has written to the block since, release restores the affinity and returns
// errNotOwned.
func (c claims) release(ctx context.Context, key AffinityKey, row Row[block.Block]) error {
	affinity, err := c.mark(ctx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	marked := err == nil
	err = remove(ctx, c.backend.store.Blocks(), key.CIDR, row)
	switch {
	case errors.Is(err, ErrConflict) && marked:
		return errors.Join(errNotOwned, c.unmark(ctx, key, affinity))
	case errors.Is(err, ErrConflict):
		return errNotOwned
	case err != nil || !marked:
		return err
	}
	return ignore(remove(ctx, c.backend.store.Affinities(), key, affinity), ErrConflict)
}

// releaseIfEmpty releases an affinity whose block is empty or does not exist, and reports whether it did.
func (c claims) releaseIfEmpty(ctx context.Context, key AffinityKey) (bool, error) {
	row, err := get(ctx, c.backend.store.Blocks(), key.CIDR)
	switch {
	case errors.Is(err, ErrNotFound):
		return c.drop(ctx, key)
	case err != nil:
		return false, err
	case row.Value.Affinity != hostAffinity(key.Node) || !c.backend.empty(row.Value):
		return false, nil
	}
	err = c.release(ctx, key, row)
	if errors.Is(err, errNotOwned) {
		return false, nil
	}
	return err == nil, err
}

// drop deletes an affinity whose block does not exist. An interrupted release leaves such a row.
func (c claims) drop(ctx context.Context, key AffinityKey) (bool, error) {
	row, err := get(ctx, c.backend.store.Affinities(), key)
	if err == nil {
		err = remove(ctx, c.backend.store.Affinities(), key, row)
	}
	return true, ignore(err, ErrNotFound, ErrConflict)
}

// revert deletes the empty block and the affinity of a claim that overlaps another block. If another process writes to
// one of them at the same time, the affinity stays marked, and the next use repairs it.
func (c claims) revert(ctx context.Context, key AffinityKey, row Row[block.Block]) error {
	affinity, err := c.mark(ctx, key)
	if ignore(err, ErrNotFound) != nil {
		return ignore(err, errNotOwned)
	}
	marked := err == nil
	if err := remove(ctx, c.backend.store.Blocks(), key.CIDR, row); err != nil {
		return ignore(err, ErrConflict)
	}
	c.backend.cache.Delete(key.CIDR)
	if !marked {
		return nil
	}
	return ignore(remove(ctx, c.backend.store.Affinities(), key, affinity), ErrConflict)
}

// mark sets an affinity to pendingDeletion. It returns errNotOwned if another process changed the affinity at the same
// time to anything else. If the row is pendingDeletion after a conflict, that process also released the affinity, or an
// earlier attempt of this write took effect; both count as success.
func (c claims) mark(ctx context.Context, key AffinityKey) (Row[Affinity], error) {
	t := c.backend.store.Affinities()
	affinity, err := get(ctx, t, key)
	if err != nil {
		return affinity, err
	}
	affinity.Value.State = PendingDeletion
	affinity, err = t.Update(ctx, key, affinity)
	if !errors.Is(asConflict(err), ErrConflict) {
		return affinity, err
	}
	affinity, err = get(ctx, t, key)
	switch {
	case ignore(err, ErrNotFound) != nil:
		return affinity, err
	case err != nil || affinity.Value.State != PendingDeletion:
		return affinity, errNotOwned
	}
	return affinity, nil
}

// unmark restores an affinity whose block turned out to be in use, unless the node no longer owns the block.
func (c claims) unmark(ctx context.Context, key AffinityKey, affinity Row[Affinity]) error {
	row, err := get(ctx, c.backend.store.Blocks(), key.CIDR)
	if err != nil || row.Value.Affinity != hostAffinity(key.Node) {
		return ignore(err, ErrNotFound)
	}
	_, err = c.repair(ctx, AffinityRow{key, affinity})
	return ignore(err, errNotOwned)
}

// releaseUnselected releases affinities for empty blocks that lie in no pool that selects their node.
func releaseUnselected(ctx context.Context, c claims, cluster Cluster, affinities []AffinityKey) error {
	if len(affinities) == 0 {
		return nil
	}
	pools, err := cluster.Pools(ctx)
	if err != nil {
		return err
	}
	for _, key := range affinities {
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
		if _, err := c.releaseIfEmpty(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

const hostPrefix = "host:"

func hostAffinity(node string) string { return hostPrefix + node }
