// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"maps"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// Table holds one value per object of a kind. It is safe for concurrent use.
type Table[O metav1.Object, V any] struct {
	convert func(O) V
	equal   func(a, b V) bool
	changed func()

	mu     sync.Mutex
	rows   map[string]V
	synced bool
}

// NewTable returns an empty table. convert makes the value of an object; it must not keep the object. changed is called
// after a value was added, removed, or replaced by one that is not equal, and when the table is complete for the first
// time. It must not block.
func NewTable[O metav1.Object, V any](convert func(O) V, equal func(a, b V) bool, changed func()) *Table[O, V] {
	return &Table[O, V]{convert: convert, equal: equal, changed: changed, rows: map[string]V{}}
}

// Values returns a copy of the table by the name of the object: its name, or namespace/name.
func (t *Table[O, V]) Values() map[string]V {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.rows)
}

// Synced reports whether the table has been complete once.
func (t *Table[O, V]) Synced() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.synced
}

// converted is a value with the name of its object. It implements metav1.ObjectMetaAccessor for the keys of client-go.
type converted[V any] struct {
	namespace, name string
	value           V
}

// GetObjectMeta implements metav1.ObjectMetaAccessor.
func (c *converted[V]) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Namespace: c.namespace, Name: c.name}
}

// Transformer implements cache.TransformingStore: during the first read, client-go keeps values instead of objects.
func (t *Table[O, V]) Transformer() cache.TransformFunc {
	return func(in any) (any, error) { return t.toValue(in) }
}

func (t *Table[O, V]) toValue(in any) (*converted[V], error) {
	switch in := in.(type) {
	case *converted[V]:
		return in, nil
	case O:
		return &converted[V]{namespace: in.GetNamespace(), name: in.GetName(), value: t.convert(in)}, nil
	}
	return nil, fmt.Errorf("unexpected object of type %T", in)
}

func (c *converted[V]) key() string {
	if c.namespace == "" {
		return c.name
	}
	return c.namespace + "/" + c.name
}

// Add implements cache.ReflectorStore.
func (t *Table[O, V]) Add(in any) error {
	c, err := t.toValue(in)
	if err != nil {
		return err
	}
	t.mu.Lock()
	was, found := t.rows[c.key()]
	t.rows[c.key()] = c.value
	t.mu.Unlock()
	if !found || !t.equal(was, c.value) {
		t.changed()
	}
	return nil
}

// Update implements cache.ReflectorStore.
func (t *Table[O, V]) Update(in any) error { return t.Add(in) }

// Delete implements cache.ReflectorStore.
func (t *Table[O, V]) Delete(in any) error {
	c, err := t.toValue(in)
	if err != nil {
		return err
	}
	t.mu.Lock()
	_, found := t.rows[c.key()]
	delete(t.rows, c.key())
	t.mu.Unlock()
	if found {
		t.changed()
	}
	return nil
}

// Replace implements cache.ReflectorStore: it replaces the whole table.
func (t *Table[O, V]) Replace(list []any, _ string) error {
	rows := make(map[string]V, len(list))
	for _, in := range list {
		c, err := t.toValue(in)
		if err != nil {
			return err
		}
		rows[c.key()] = c.value
	}
	t.mu.Lock()
	same := t.synced && maps.EqualFunc(t.rows, rows, t.equal)
	t.rows, t.synced = rows, true
	t.mu.Unlock()
	if !same {
		t.changed()
	}
	return nil
}

// Resync implements cache.ReflectorStore. It does nothing.
func (t *Table[O, V]) Resync() error { return nil }
