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
	// Malformed is the error of the first of Others that is malformed, or nil.
	Malformed error
	// Empty says that none of Others is malformed, or has an address that is allocated or in its cooldown.
	Empty bool
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
	text := fmt.Sprintf("block %s is not used, as it overlaps block %s", e.Block, strings.Join(others, " and "))
	switch {
	case e.Malformed != nil:
		return fmt.Sprintf("%s, which cannot be read: %v", text, e.Malformed)
	case e.Empty && e.Owner == "":
		return text + " of no node, which has no addresses in use (retry, as an ADD takes it over a minute after it was " +
			"claimed; see docs/blocksize.md)"
	case e.Empty:
		return fmt.Sprintf("%s of %s, which has no addresses in use (retry, as an ADD takes it over a minute after it was "+
			"claimed; or, if that node does not exist, delete the IPAMBlock and the BlockAffinity of the block; "+
			"see docs/blocksize.md)", text, e.Owner)
	}
	return fmt.Sprintf("%s of %s (delete the pods of blocks whose size is not the blockSize of their pool; "+
		"see docs/blocksize.md)", text, ownerName(e.Owner))
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
	others, err := o.backend.store.BlocksOverlapping(ctx, cidr)
	if err != nil {
		return fmt.Errorf("look for blocks that overlap %s: %w", cidr, err)
	}
	found := &OverlapError{Block: cidr, Empty: true}
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
		}
		empty := err == nil && o.backend.empty(row.Value)
		if found.add(other, row.Value.Affinity, empty, err); len(found.Others) == maxBatch {
			break
		}
	}
	if len(found.Others) == 0 {
		return nil
	}
	return found
}

// idle returns the blocks that overlap a block, or errNotOwned if the node may not take all of them over.
func (o overlaps) idle(ctx context.Context, node string, cidr netip.Prefix) ([]Row[block.Block], error) {
	others, err := o.backend.store.BlocksOverlapping(ctx, cidr)
	if err != nil {
		return nil, fmt.Errorf("look for blocks that overlap %s: %w", cidr, err)
	}
	var rows []Row[block.Block]
	for _, other := range others {
		if other == cidr {
			continue
		}
		row, err := get(ctx, o.backend.store.Blocks(), other)
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case errors.Is(err, ErrMalformed):
			return nil, errNotOwned
		case err != nil:
			return nil, err
		case row.Value.Affinity == hostAffinity(node) || !o.backend.idle(row.Value):
			return nil, errNotOwned
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// add adds a block that was read. malformed is its error if it is malformed, or nil.
func (e *OverlapError) add(cidr netip.Prefix, owner string, empty bool, malformed error) {
	if len(e.Others) == 0 {
		e.Owner = owner
	}
	e.Others = append(e.Others, cidr)
	e.Empty = e.Empty && empty
	if e.Malformed == nil {
		e.Malformed = malformed
	}
}

// passed reports whether the block has passed the check before. The node caches a block only after it has claimed it or
// allocated from it, so that a block that is cached with the same UID and owner has passed.
func (o overlaps) passed(row Row[block.Block]) bool {
	if cached, ok := o.backend.cache.Get(row.Value.CIDR); ok {
		return cached.UID != "" && cached.UID == row.UID && cached.Value.Affinity == row.Value.Affinity
	}
	return false
}
