// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"calico-cni/pkg/ipam/block"
)

// OverlapError says that a block shares addresses with other blocks. No address is allocated from it.
type OverlapError struct {
	Block netip.Prefix
	// Others are the blocks that it overlaps, sorted. Owner is the affinity of the first.
	Others []netip.Prefix
	Owner  string
}

// Error names the blocks and the remedy.
func (e *OverlapError) Error() string {
	others := make([]string, len(e.Others))
	for i, o := range e.Others {
		others[i] = o.String()
	}
	const most = 3
	if len(others) > most {
		others = append(others[:most], fmt.Sprintf("%d more", len(e.Others)-most))
	}
	return fmt.Sprintf("block %s is not used, as it overlaps block %s of %s "+
		"(delete the pods of blocks whose size is not the blockSize of their pool; see docs/blocksize.md)",
		e.Block, strings.Join(others, " and "), ownerName(e.Owner))
}

// Unwrap returns errNotOwned: a block that overlaps another counts as taken.
func (e *OverlapError) Unwrap() error { return errNotOwned }

func ownerName(affinity string) string {
	if affinity == "" {
		return "no node"
	}
	return affinity
}

// overlaps checks for blocks that overlap each other.
//
// The check keeps addresses unique although the store compares single rows only. Every process creates its block, then
// looks for overlapping blocks, then uses its block. Of two overlapping blocks, the process that created the later one
// sees the earlier one, and never uses the later one while the earlier one exists.
type overlaps struct{ backend backend }

// check returns an OverlapError if other blocks overlap a block. The block must exist before the call.
func (o overlaps) check(ctx context.Context, cidr netip.Prefix) error {
	return o.checkPart(ctx, cidr, cidr)
}

// checkPart is check for a part of a block: it looks for other blocks that have addresses of the part.
func (o overlaps) checkPart(ctx context.Context, cidr, part netip.Prefix) error {
	others, err := o.backend.store.BlocksOverlapping(ctx, part)
	if err != nil {
		return fmt.Errorf("look for blocks that overlap %s: %w", cidr, err)
	}
	found := &OverlapError{Block: cidr}
	for _, other := range others {
		if other == cidr {
			continue
		}
		// get completes the deletion of blocks that are marked as deleted. A malformed block counts, because it may
		// hold addresses.
		row, err := get(ctx, o.backend.store.Blocks(), other)
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil && !errors.Is(err, ErrMalformed):
			return err
		case len(found.Others) == 0:
			found.Owner = row.Value.Affinity
		}
		if found.Others = append(found.Others, other); len(found.Others) == maxBatch {
			break
		}
	}
	if len(found.Others) == 0 {
		return nil
	}
	return found
}

// passed reports whether the block cache shows that the block has passed the check: the node caches a block only after
// it has claimed it or allocated from it.
func (o overlaps) passed(row Row[block.Block]) bool {
	if cached, ok := o.backend.cache.Get(row.Value.CIDR); ok {
		return cached.UID != "" && cached.UID == row.UID && cached.Value.Affinity == row.Value.Affinity
	}
	return false
}
