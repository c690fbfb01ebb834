// SPDX-License-Identifier: Apache-2.0

package memstore

import "calico-cni/pkg/ipam"

// revision is the Rev of a row: the UID of the object, and its resource version.
type revision struct{ uid, version int64 }

// stored is a row with its key.
type stored[K comparable, T any] struct {
	key K
	row ipam.Row[T]
}

// rowsOf has rows by the names of their objects.
type rowsOf[K comparable, T any] map[string]stored[K, T]

// codec converts keys and values as a round trip through the API server does.
type codec[K comparable, T any] interface {
	// name returns the name of the object. refused returns an error if the server rejects an object for the key.
	name(key K) string
	refused(key K) error
	// settle returns a copy of a value as it is read back. old is the value before an update, and nil for a new object.
	settle(value T, old *T) (T, error)
	// check returns an error if the value is malformed.
	check(value T) error
	// same reports whether two settled values are stored as the same bytes.
	same(a, b T) bool
	clone(value T) T
}
