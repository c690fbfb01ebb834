// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
)

const hostPrefix = "host:"

func hostAffinity(node string) string { return hostPrefix + node }

// affinities writes the states of affinities: pending and confirmed for a claim, pendingDeletion for a release. Each
// write is a compare-and-swap. The types claims and blockReleases define the order of these writes.
type affinities struct{ backend backend }

// setPending creates an affinity as pending, or sets an existing one to pending.
func (a affinities) setPending(ctx context.Context, key AffinityKey) (Row[Affinity], error) {
	t := a.backend.store.Affinities()
	var row Row[Affinity]
	err := a.backend.retry(ctx, "claim block "+key.CIDR.String(), func() (err error) {
		row, err = create(ctx, t, key, Affinity{State: Pending})
		if !errors.Is(err, ErrExists) {
			return err
		}
		if row, err = get(ctx, t, key); err != nil {
			return asConflict(err)
		}
		row.Value.State = Pending
		row, err = t.Update(ctx, key, row)
		return asConflict(err)
	})
	return row, err
}

// confirm sets an affinity to confirmed. If another process has changed the affinity, confirm returns the new row and
// ErrConflict.
func (a affinities) confirm(ctx context.Context, affinity AffinityRow) (Row[Affinity], error) {
	if affinity.Value.State == Confirmed {
		return affinity.Row, nil
	}
	affinity.Value.State = Confirmed
	row, err := a.backend.store.Affinities().Update(ctx, affinity.Key, affinity.Row)
	if err == nil || !errors.Is(asConflict(err), ErrConflict) {
		return row, err
	}
	row, err = get(ctx, a.backend.store.Affinities(), affinity.Key)
	if errors.Is(err, ErrNotFound) {
		row, err = a.setPending(ctx, affinity.Key)
	}
	if err != nil {
		return row, err
	}
	return row, ErrConflict
}

// reopen reads an affinity if it was not read yet, and sets it back to pending if it is pendingDeletion.
//
// Call it before the block is read. Otherwise another process could set pendingDeletion again and delete the block
// unnoticed: setting pendingDeletion on a row that already has it writes nothing, so that a later confirmation would
// not conflict. After a conflict the returned row is empty, so that the next attempt reads it again.
func (a affinities) reopen(ctx context.Context, affinity AffinityRow) (Row[Affinity], error) {
	t := a.backend.store.Affinities()
	if affinity.Rev == nil {
		row, err := get(ctx, t, affinity.Key)
		if errors.Is(err, ErrNotFound) {
			return row, errNotOwned
		} else if err != nil {
			return row, err
		}
		affinity.Row = row
	}
	if affinity.Deleted {
		return affinity.Row, errors.Join(errNotOwned, finish(ctx, t, affinity.Key, affinity.Row))
	}
	if affinity.Value.State == PendingDeletion {
		affinity.Value.State = Pending
		row, err := t.Update(ctx, affinity.Key, affinity.Row)
		return row, asConflict(err)
	}
	return affinity.Row, nil
}

// mark sets an affinity to pendingDeletion. It returns errNotOwned if another process changed the affinity at the same
// time to anything else. If the row is pendingDeletion after a conflict, that process also released the affinity, or an
// earlier attempt of this write took effect; both count as success.
func (a affinities) mark(ctx context.Context, key AffinityKey) (Row[Affinity], error) {
	t := a.backend.store.Affinities()
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
