// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"calico-cni/pkg/ipam/block"
)

// idleAfter is how long another node must have owned an empty block before the block may be taken over. A block that
// was claimed more recently may be about to be used.
const idleAfter = time.Minute

// takeovers claims blocks after it has released empty blocks of other nodes, or of no node.
type takeovers struct {
	backend  backend
	claims   claims
	releases blockReleases
	overlaps overlaps
}

func newTakeovers(b backend) takeovers {
	return takeovers{backend: b, claims: newClaims(b), releases: newBlockReleases(b), overlaps: overlaps{b}}
}

// takeOver claims a block of another node, or of no node, if it is still empty and has been claimed for idleAfter.
// Otherwise it returns errNotOwned. The affinity of the other node is released first, as that node itself would do, so
// that any process can complete an interrupted takeover.
func (t takeovers) takeOver(ctx context.Context, node string, cidr netip.Prefix) (claimed, error) {
	row, err := get(ctx, t.backend.store.Blocks(), cidr)
	switch {
	case errors.Is(err, ErrNotFound):
		return t.claims.claim(ctx, node, cidr)
	case err != nil:
		return claimed{}, err
	}
	if !t.backend.idle(row.Value) {
		return claimed{}, errNotOwned
	}
	if err := t.free(ctx, row); err != nil {
		return claimed{}, err
	}
	return t.claims.claim(ctx, node, cidr)
}

// free deletes an idle block, and releases the affinity of its owner if it has one. It returns errNotOwned if another
// process has written to the block since it was read.
func (t takeovers) free(ctx context.Context, row Row[block.Block]) error {
	if row.Value.Affinity != "" {
		return t.releases.release(ctx, keyOf(row.Value), row)
	}
	err := remove(ctx, t.backend.store.Blocks(), row.Value.CIDR, row)
	if errors.Is(err, ErrConflict) {
		return errNotOwned
	}
	return err
}

// replace claims a block after it has released the blocks of other nodes that overlap it. It returns errNotOwned if
// one of them may not be taken over.
func (t takeovers) replace(ctx context.Context, node string, cidr netip.Prefix) (claimed, error) {
	rows, err := t.overlaps.idle(ctx, node, cidr)
	if err != nil {
		return claimed{}, err
	}
	for _, row := range rows {
		if err := t.free(ctx, row); err != nil {
			return claimed{}, err
		}
	}
	row, err := get(ctx, t.backend.store.Blocks(), cidr)
	if err == nil && row.Value.Affinity == hostAffinity(node) {
		// The node owned the block already, but could not use it.
		return claimed{row: row}, nil
	}
	if ignore(err, ErrNotFound) != nil {
		return claimed{}, err
	}
	return t.takeOver(ctx, node, cidr)
}

// idle reports whether another node may take over the block: it is empty, and belongs to a node, or to none after an
// administrator or Calico removed its affinity. A claim time in the future comes from a clock that was
// ahead, and counts as past.
func (b backend) idle(x block.Block) bool {
	owned := x.Affinity == "" || strings.HasPrefix(x.Affinity, hostPrefix)
	return owned && b.empty(x) && b.now().Sub(x.ClaimTime).Abs() > idleAfter
}

// keyOf returns the key of the affinity of a block that belongs to a node.
func keyOf(b block.Block) AffinityKey {
	return AffinityKey{strings.TrimPrefix(b.Affinity, hostPrefix), b.CIDR}
}
