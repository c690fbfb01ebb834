package ipam

import (
	"context"
	"errors"
	"fmt"
)

// maxAttempts bounds every compare-and-swap loop. Each failed attempt means that somebody else's write went through,
// so that many in a row are a sign of something other than contention.
const maxAttempts = 100

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

// retry runs attempt until it succeeds or fails for another reason than that somebody else wrote first.
func retry(ctx context.Context, what string, attempt func() error) error {
	for range maxAttempts {
		err := attempt()
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrExists) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
	}
	return fmt.Errorf("%s: %w: gave up after %d attempts; try again", what, ErrContended, maxAttempts)
}
