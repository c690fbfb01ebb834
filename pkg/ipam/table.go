package ipam

import (
	"context"
	"errors"
)

// get returns a row that counts: one whose deletion has begun is finished off first and then is not found.
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

// create stores a new row, out of the way of an old one whose deletion has begun.
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

// remove deletes a row if it is still the one that was read. The mark that other writers set first, for want of a deletion
// that compares, has nothing to add to one that does.
func remove[K comparable, T any](ctx context.Context, t Table[K, T], key K, row Row[T]) error {
	return ignore(t.Delete(ctx, key, row), ErrNotFound)
}

// finish takes the second step of a deletion that another writer has begun by marking the row. Somebody else may have
// taken it already, or made the row anew since.
func finish[K comparable, T any](ctx context.Context, t Table[K, T], key K, row Row[T]) error {
	return ignore(t.Delete(ctx, key, row), ErrNotFound, ErrConflict)
}

func ignore(err error, harmless ...error) error {
	for _, h := range harmless {
		if errors.Is(err, h) {
			return nil
		}
	}
	return err
}
