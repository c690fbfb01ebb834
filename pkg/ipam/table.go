// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
)

// get returns a row. A row that is marked as deleted counts as absent: get completes its deletion and returns
// ErrNotFound.
func get[K comparable, T any](ctx context.Context, t Table[K, T], key K) (Row[T], error) {
	row, err := t.Get(ctx, key)
	if err != nil || !row.Deleted {
		return row, err
	}
	if err := finish(ctx, t, key, row); err != nil {
		return Row[T]{}, err
	}
	return Row[T]{}, ErrNotFound
}

// create stores a new row. It first completes the deletion of an old row of the same key, if there is one.
func create[K comparable, T any](ctx context.Context, t Table[K, T], key K, value T) (Row[T], error) {
	row, err := t.Create(ctx, key, value)
	if !errors.Is(err, ErrExists) {
		return row, err
	}
	if _, getErr := get(ctx, t, key); !errors.Is(getErr, ErrNotFound) {
		return Row[T]{}, errors.Join(err, getErr)
	}
	return t.Create(ctx, key, value)
}

// remove deletes a row if it has not changed since it was read. Other writers mark a row as deleted before they delete
// it; a deletion that names the revision needs no mark.
func remove[K comparable, T any](ctx context.Context, t Table[K, T], key K, row Row[T]) error {
	return ignore(t.Delete(ctx, key, row), ErrNotFound)
}

// finish deletes a row that another writer has marked as deleted. It succeeds if another process has deleted the row,
// or created it again.
func finish[K comparable, T any](ctx context.Context, t Table[K, T], key K, row Row[T]) error {
	return ignore(t.Delete(ctx, key, row), ErrNotFound, ErrConflict)
}

// ignore returns err unless it is one of the harmless ones.
func ignore(err error, harmless ...error) error {
	for _, h := range harmless {
		if errors.Is(err, h) {
			return nil
		}
	}
	return err
}

// asConflict adds ErrConflict to an ErrNotFound of a row that existed when it was last read: the caller has to read it
// again.
func asConflict(err error) error {
	if errors.Is(err, ErrNotFound) {
		return errors.Join(ErrConflict, err)
	}
	return err
}
