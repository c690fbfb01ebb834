// SPDX-License-Identifier: Apache-2.0

package memstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"calico-cni/pkg/ipam"
)

// Errors of the store; match them with errors.Is.
var (
	// ErrProtocol: a write names no revision.
	ErrProtocol = errors.New("row was not read before")
	// ErrInvalid: the API server rejects such an object.
	ErrInvalid = errors.New("object refused")
	// errUnavailable: the request failed. It may have taken effect.
	errUnavailable = errors.New("store unavailable")
)

// table is one kind of rows of a store.
type table[K comparable, T any] struct {
	store *Store
	kind  string
	codec codec[K, T]
	rows  rowsOf[K, T]
	// changed is called after every change, with the store locked. It may be nil.
	changed func()
}

func (t *table[K, T]) Get(_ context.Context, key K) (out ipam.Row[T], err error) {
	err = t.request("get", key, func(name string) error {
		found, ok := t.rows[name]
		if !ok {
			return ipam.ErrNotFound
		}
		out, err = t.answer(found.row)
		return err
	})
	return out, err
}

func (t *table[K, T]) Create(_ context.Context, key K, value T) (out ipam.Row[T], err error) {
	err = t.request("create", key, func(name string) error {
		if err := t.codec.refused(key); err != nil {
			return err
		}
		settled, err := t.codec.settle(value, nil)
		if err != nil {
			return err
		}
		if _, ok := t.rows[name]; ok {
			return ipam.ErrExists
		}
		t.store.counters.uid++
		out, err = t.put(name, key, ipam.Row[T]{
			Value: settled, UID: strconv.FormatInt(t.store.counters.uid, 10), Rev: revision{uid: t.store.counters.uid},
		})
		return err
	})
	return out, err
}

func (t *table[K, T]) Update(_ context.Context, key K, row ipam.Row[T]) (out ipam.Row[T], err error) {
	err = t.request("update", key, func(name string) error {
		old, err := t.check(name, row)
		if err != nil {
			return err
		}
		settled, err := t.codec.settle(row.Value, &old.Value)
		if err != nil {
			return err
		}
		if old.Deleted == row.Deleted && t.codec.same(old.Value, settled) {
			// Like the server, keep the revision if nothing changes.
			out, err = t.answer(old)
			return err
		}
		out, err = t.put(name, key, ipam.Row[T]{Value: settled, Deleted: row.Deleted, UID: old.UID, Rev: old.Rev})
		return err
	})
	return out, err
}

func (t *table[K, T]) Delete(_ context.Context, key K, row ipam.Row[T]) error {
	return t.request("delete", key, func(name string) error {
		old, err := t.check(name, row)
		if err != nil {
			return err
		}
		if t.store.held[t.kind+" "+name] {
			if !old.Deleted {
				old.Deleted = true
				_, _ = t.put(name, key, old)
			}
			return nil
		}
		delete(t.rows, name)
		t.store.counters.revision++
		t.change()
		return nil
	})
}

// request runs one request with the store locked, with the outcome that Fault decides, and names it in its error.
func (t *table[K, T]) request(verb string, key K, run func(name string) error) error {
	outcome := Pass
	if t.store.Fault != nil {
		outcome = t.store.Fault(Request{Verb: verb, Kind: t.kind, Key: fmt.Sprint(key)})
	}
	if err := t.run(outcome, key, run); err != nil {
		return fmt.Errorf("%s %s %v: %w", verb, t.kind, key, err)
	}
	return nil
}

func (t *table[K, T]) run(outcome Outcome, key K, run func(name string) error) error {
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	name := t.codec.name(key)
	switch outcome {
	case Refused:
		return errUnavailable
	case AnswerLost:
		_ = run(name)
		return errUnavailable
	case Repeated:
		_ = run(name)
	}
	return run(name)
}

// check returns the stored row if row has its revision.
func (t *table[K, T]) check(name string, row ipam.Row[T]) (ipam.Row[T], error) {
	found, ok := t.rows[name]
	switch {
	case row.Rev == nil:
		return found.row, ErrProtocol
	case !ok:
		return found.row, ipam.ErrNotFound
	case found.row.Rev != row.Rev:
		return found.row, ipam.ErrConflict
	}
	return found.row, nil
}

func (t *table[K, T]) put(name string, key K, row ipam.Row[T]) (ipam.Row[T], error) {
	t.store.counters.revision++
	rev, _ := row.Rev.(revision)
	rev.version = t.store.counters.revision
	row.Rev = rev
	t.rows[name] = stored[K, T]{key, row}
	t.change()
	return t.answer(row)
}

// answer returns a copy of a row, or an error if it is malformed.
func (t *table[K, T]) answer(row ipam.Row[T]) (ipam.Row[T], error) {
	if err := t.codec.check(row.Value); err != nil {
		return ipam.Row[T]{}, err
	}
	return t.copy(row), nil
}

func (t *table[K, T]) change() {
	if t.changed != nil {
		t.changed()
	}
}

func (t *table[K, T]) copy(row ipam.Row[T]) ipam.Row[T] {
	row.Value = t.codec.clone(row.Value)
	return row
}

// each calls f for every row. f must not change or keep the value.
func (t *table[K, T]) each(f func(key K, row ipam.Row[T])) {
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	for _, row := range t.rows {
		f(row.key, row.row)
	}
}

// all returns a copy of every row.
func (t *table[K, T]) all() map[K]ipam.Row[T] {
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	out := make(map[K]ipam.Row[T], len(t.rows))
	for _, row := range t.rows {
		out[row.key] = t.copy(row.row)
	}
	return out
}
