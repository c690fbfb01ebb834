// SPDX-License-Identifier: Apache-2.0

package crdstore

import (
	"context"
	"errors"
	"fmt"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kubeapi"
)

// codec converts one kind of value to its object and back. name returns the name of the object. fill writes the value
// into an object and keeps its unknown fields; it must not change maps or slices of the object, because copies share
// them.
type codec[K comparable, T, S any] interface {
	name(key K) string
	decode(object *kubeapi.Object[S]) (value T, deleted bool, err error)
	fill(object *kubeapi.Object[S], key K, value T, deleted bool)
}

// table is an ipam.Table of the objects of one kind. The revision of a row is the object as it was read.
type table[K comparable, T, S any] struct {
	resource kubeapi.Objects[S]
	codec    codec[K, T, S]
	// apiVersion and kind are those of the objects that it writes.
	apiVersion, kind string
}

func (t table[K, T, S]) Get(ctx context.Context, key K) (ipam.Row[T], error) {
	return t.answer(t.resource.Get(ctx, t.codec.name(key)))
}

func (t table[K, T, S]) Create(ctx context.Context, key K, value T) (ipam.Row[T], error) {
	object := new(kubeapi.Object[S])
	object.APIVersion, object.Kind = t.apiVersion, t.kind
	t.codec.fill(object, key, value, false)
	return t.answer(t.resource.Create(ctx, t.codec.name(key), object))
}

func (t table[K, T, S]) Update(ctx context.Context, key K, row ipam.Row[T]) (ipam.Row[T], error) {
	read, err := t.read(row, "update", key)
	if err != nil {
		return ipam.Row[T]{}, err
	}
	object := *read
	// A cached object may be of the other API group.
	object.APIVersion, object.Kind = t.apiVersion, t.kind
	t.codec.fill(&object, key, row.Value, row.Deleted)
	return t.answer(t.resource.Update(ctx, t.codec.name(key), &object))
}

func (t table[K, T, S]) Delete(ctx context.Context, key K, row ipam.Row[T]) error {
	read, err := t.read(row, "delete", key)
	if err != nil {
		return err
	}
	return translate(t.resource.Delete(ctx, t.codec.name(key), read.Metadata.UID, read.Metadata.ResourceVersion))
}

// read returns the object that a row was read from. Without its UID and resourceVersion a write would be unconditional.
func (t table[K, T, S]) read(row ipam.Row[T], verb string, key K) (*kubeapi.Object[S], error) {
	object, ok := row.Rev.(*kubeapi.Object[S])
	if !ok || object.Metadata.UID == "" || object.Metadata.ResourceVersion == "" {
		return nil, fmt.Errorf("%s %s: %w: the row was not read before", verb, t.codec.name(key), ipam.ErrConflict)
	}
	return object, nil
}

func (t table[K, T, S]) answer(object *kubeapi.Object[S], err error) (ipam.Row[T], error) {
	if err != nil {
		return ipam.Row[T]{}, translate(err)
	}
	return t.row(object)
}

func (t table[K, T, S]) row(object *kubeapi.Object[S]) (ipam.Row[T], error) {
	value, deleted, err := t.codec.decode(object)
	deleted = deleted || object.Metadata.Deleting
	return ipam.Row[T]{Value: value, Deleted: deleted, UID: object.Metadata.UID, Rev: object}, err
}

// translate wraps an error of the API with the corresponding error of package ipam.
func translate(err error) error {
	for from, to := range map[error]error{
		kubeapi.ErrNotFound: ipam.ErrNotFound, kubeapi.ErrExists: ipam.ErrExists, kubeapi.ErrConflict: ipam.ErrConflict,
	} {
		if errors.Is(err, from) {
			return fmt.Errorf("%w: %w", to, err)
		}
	}
	return err
}
