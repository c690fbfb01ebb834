// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"sync"
	"testing"

	"calico-cni/pkg/ipam"
)

// concurrentWrites checks that one of several concurrent writes succeeds.
func (k kind[K, T]) concurrentWrites(t *testing.T) {
	ctx := context.Background()
	race := func(t *testing.T, loser error, write func() error) {
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { errs[i] = write() })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				is(t, "loser", err, loser)
			}
		}
		if won != 1 {
			t.Errorf("%d writers won: %v", won, errs)
		}
	}
	t.Run("one of many updates by one revision succeeds", func(t *testing.T) {
		s, key := k.table(t), k.key(7)
		row := must[ipam.Row[T]](t)(s.Create(ctx, key, k.first(7)))
		row.Value = k.second(7)
		race(t, ipam.ErrConflict, func() error { _, err := s.Update(ctx, key, row); return err })
	})
	t.Run("one of many creations succeeds", func(t *testing.T) {
		s, key := k.table(t), k.key(11)
		race(t, ipam.ErrExists, func() error { _, err := s.Create(ctx, key, k.first(11)); return err })
	})
	t.Run("one of many deletions succeeds", func(t *testing.T) {
		s, key := k.table(t), k.key(12)
		row := must[ipam.Row[T]](t)(s.Create(ctx, key, k.first(12)))
		race(t, ipam.ErrNotFound, func() error { return s.Delete(ctx, key, row) })
	})
}

// faults checks requests that fail.
func (k kind[K, T]) faults(t *testing.T) {
	ctx := context.Background()
	t.Run("write whose answer is lost takes effect once", func(t *testing.T) {
		f, key := k.open(t), k.key(13)
		s := k.of(f.Faulty)
		f.LoseAnswer()
		_, err := s.Create(ctx, key, k.first(13))
		noAnswer(t, "create", err)
		_, err = s.Create(ctx, key, k.first(13))
		is(t, "create again", err, ipam.ErrExists)
		row := must[ipam.Row[T]](t)(s.Get(ctx, key))
		row.Value = k.second(13)
		f.LoseAnswer()
		_, err = s.Update(ctx, key, row)
		noAnswer(t, "update", err)
		_, err = s.Update(ctx, key, row)
		is(t, "update again", err, ipam.ErrConflict)
		row = must[ipam.Row[T]](t)(s.Get(ctx, key))
		equal(t, "value", k.second(13), row.Value)
		f.LoseAnswer()
		noAnswer(t, "delete", s.Delete(ctx, key, row))
		is(t, "delete again", s.Delete(ctx, key, row), ipam.ErrNotFound)
	})
	t.Run("refused write has no effect", func(t *testing.T) {
		f, key := k.open(t), k.key(14)
		s := k.of(f.Faulty)
		row := must[ipam.Row[T]](t)(s.Create(ctx, key, k.first(14)))
		changed := row
		changed.Value = k.second(14)
		end := f.Refuse()
		_, err := s.Create(ctx, k.key(15), k.first(15))
		noAnswer(t, "create", err)
		_, err = s.Update(ctx, key, changed)
		noAnswer(t, "update", err)
		noAnswer(t, "delete", s.Delete(ctx, key, row))
		end()
		_, err = s.Get(ctx, k.key(15))
		is(t, "get", err, ipam.ErrNotFound)
		must[ipam.Row[T]](t)(s.Update(ctx, key, row))
		equal(t, "value", k.first(14), must[ipam.Row[T]](t)(s.Get(ctx, key)).Value)
	})
	t.Run("kind that is not served is not a missing row", func(t *testing.T) {
		f, key := k.open(t), k.key(16)
		row := must[ipam.Row[T]](t)(k.of(f.Store).Create(ctx, key, k.first(16)))
		s := k.of(f.Unserved)
		_, err := s.Get(ctx, key)
		noAnswer(t, "get", err)
		_, err = s.Create(ctx, key, k.first(16))
		noAnswer(t, "create", err)
		_, err = s.Update(ctx, key, row)
		noAnswer(t, "update", err)
		noAnswer(t, "delete", s.Delete(ctx, key, row))
	})
}
