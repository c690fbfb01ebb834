// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"net/netip"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// oneUser checks reads and writes of one user.
func (k kind[K, T]) oneUser(t *testing.T) {
	ctx := context.Background()
	t.Run("written value is read back", func(t *testing.T) {
		s, key := k.table(t), k.key(1)
		created := must[ipam.Row[T]](t)(s.Create(ctx, key, k.first(1)))
		equal(t, "created", k.first(1), created.Value)
		read := must[ipam.Row[T]](t)(s.Get(ctx, key))
		equal(t, "read", k.first(1), read.Value)
		read.Value = k.second(1)
		updated := must[ipam.Row[T]](t)(s.Update(ctx, key, read))
		equal(t, "updated", k.second(1), updated.Value)
		equal(t, "read again", k.second(1), must[ipam.Row[T]](t)(s.Get(ctx, key)).Value)
	})
	t.Run("missing row is not found", func(t *testing.T) {
		s, key := k.table(t), k.key(2)
		_, err := s.Get(ctx, key)
		is(t, "get", err, ipam.ErrNotFound)
		row := must[ipam.Row[T]](t)(s.Create(ctx, key, k.first(2)))
		erase(t, s, key, row)
		_, err = s.Get(ctx, key)
		is(t, "get after deletion", err, ipam.ErrNotFound)
		_, err = s.Update(ctx, key, row)
		is(t, "update", err, ipam.ErrNotFound)
		is(t, "delete", s.Delete(ctx, key, row), ipam.ErrNotFound)
	})
	t.Run("row is created once", func(t *testing.T) {
		s, key := k.table(t), k.key(3)
		row := must[ipam.Row[T]](t)(s.Create(ctx, key, k.first(3)))
		_, err := s.Create(ctx, key, k.second(3))
		is(t, "create again", err, ipam.ErrExists)
		equal(t, "value", k.first(3), must[ipam.Row[T]](t)(s.Get(ctx, key)).Value)
		row.Deleted = true
		must[ipam.Row[T]](t)(s.Update(ctx, key, row))
		_, err = s.Create(ctx, key, k.second(3))
		is(t, "create while the row is marked", err, ipam.ErrExists)
	})
	t.Run("returned value is a copy", func(t *testing.T) {
		s, key := k.table(t), k.key(8)
		row := must[ipam.Row[T]](t)(s.Create(ctx, key, k.first(8)))
		switch v := any(row.Value).(type) {
		case block.Block:
			v.Allocations[0], v.Attributes[0].Owner["pod"] = 1, "changed"
		case ipam.Handle:
			v.Counts[netip.MustParsePrefix("10.9.0.0/26")] = 9
		}
		equal(t, "value", k.first(8), must[ipam.Row[T]](t)(s.Get(ctx, key)).Value)
	})
	t.Run("key that is no valid object name", func(t *testing.T) {
		if k.bad == nil {
			// All keys of blocks are valid names.
			return
		}
		s := k.table(t)
		_, err := s.Create(ctx, *k.bad, k.first(9))
		noAnswer(t, "create", err)
		_, err = s.Get(ctx, *k.bad)
		is(t, "get", err, ipam.ErrNotFound)
	})
}

// revisions checks writes that name a revision.
func (k kind[K, T]) revisions(t *testing.T) {
	ctx := context.Background()
	t.Run("write by a stale revision conflicts", func(t *testing.T) {
		s, key := k.table(t), k.key(4)
		stale := must[ipam.Row[T]](t)(s.Create(ctx, key, k.first(4)))
		row := stale
		row.Value = k.second(4)
		must[ipam.Row[T]](t)(s.Update(ctx, key, row))
		_, err := s.Update(ctx, key, stale)
		is(t, "update", err, ipam.ErrConflict)
		is(t, "delete", s.Delete(ctx, key, stale), ipam.ErrConflict)
		equal(t, "value", k.second(4), must[ipam.Row[T]](t)(s.Get(ctx, key)).Value)
	})
	t.Run("write without a revision is refused", func(t *testing.T) {
		s, key := k.table(t), k.key(10)
		must[ipam.Row[T]](t)(s.Create(ctx, key, k.first(10)))
		if _, err := s.Update(ctx, key, ipam.Row[T]{Value: k.second(10)}); err == nil {
			t.Error("update succeeded")
		}
		if err := s.Delete(ctx, key, ipam.Row[T]{Value: k.first(10)}); err == nil {
			t.Error("delete succeeded")
		}
		equal(t, "value", k.first(10), must[ipam.Row[T]](t)(s.Get(ctx, key)).Value)
	})
	t.Run("update that changes nothing keeps the revision", func(t *testing.T) {
		s, key := k.table(t), k.key(9)
		row := must[ipam.Row[T]](t)(s.Create(ctx, key, k.first(9)))
		row.Value = k.second(9)
		// The first update may change metadata that is not part of the value, such as managedFields.
		row = must[ipam.Row[T]](t)(s.Update(ctx, key, row))
		for range 2 {
			equal(t, "value", k.second(9), must[ipam.Row[T]](t)(s.Update(ctx, key, row)).Value)
		}
		marked := row
		marked.Deleted = true
		marked = must[ipam.Row[T]](t)(s.Update(ctx, key, marked))
		_, err := s.Update(ctx, key, row)
		is(t, "update by the revision before the mark", err, ipam.ErrConflict)
		if again := must[ipam.Row[T]](t)(s.Update(ctx, key, marked)); !again.Deleted {
			t.Error("the update removed the mark")
		}
		if err := s.Delete(ctx, key, marked); err != nil {
			t.Errorf("delete by the revision before the update that changed nothing: %v", err)
		}
	})
}

// deletions checks deletions, and rows that are created again.
func (k kind[K, T]) deletions(t *testing.T) {
	ctx := context.Background()
	t.Run("re-created row has another UID", func(t *testing.T) {
		s, key := k.table(t), k.key(5)
		old := must[ipam.Row[T]](t)(s.Create(ctx, key, k.first(5)))
		updated := must[ipam.Row[T]](t)(s.Update(ctx, key, old))
		if old.UID == "" || updated.UID != old.UID || must[ipam.Row[T]](t)(s.Get(ctx, key)).UID != old.UID {
			t.Errorf("UIDs %q and %q of one row", old.UID, updated.UID)
		}
		erase(t, s, key, updated)
		again := must[ipam.Row[T]](t)(s.Create(ctx, key, k.first(5)))
		if again.UID == old.UID {
			t.Error("the re-created row has the UID of the old one")
		}
		_, err := s.Update(ctx, key, updated)
		is(t, "update by a revision of the old row", err, ipam.ErrConflict)
		is(t, "delete by a revision of the old row", s.Delete(ctx, key, updated), ipam.ErrConflict)
	})
	t.Run("mark as deleted is read back", func(t *testing.T) {
		s, key := k.table(t), k.key(6)
		row := must[ipam.Row[T]](t)(s.Create(ctx, key, k.first(6)))
		row.Deleted = true
		must[ipam.Row[T]](t)(s.Update(ctx, key, row))
		got := must[ipam.Row[T]](t)(s.Get(ctx, key))
		if !got.Deleted {
			t.Error("the row is not marked")
		}
		if err := s.Delete(ctx, key, got); err != nil {
			t.Errorf("finish the deletion: %v", err)
		}
	})
}
