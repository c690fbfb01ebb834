// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// Resource reads the objects of one cluster-scoped kind. T is the Go type of an object.
type Resource[T any] struct {
	transport     Transport
	path          string
	group, plural string
}

// NewResource returns the resource with a plural name in an API group and version, such as "ippools" in
// "crd.projectcalico.org/v1".
func NewResource[T any](t Transport, groupVersion, plural string) Resource[T] {
	group, _, _ := strings.Cut(groupVersion, "/")
	return Resource[T]{transport: t, path: "/apis/" + groupVersion + "/" + plural, group: group, plural: plural}
}

// Get returns an object. Its error wraps ErrNotFound if the object does not exist.
func (r Resource[T]) Get(ctx context.Context, name string) (*T, error) {
	return r.getWith(ctx, name, nil)
}

// GetCached returns an object from the server's watch cache. It may be some milliseconds old.
func (r Resource[T]) GetCached(ctx context.Context, name string) (*T, error) {
	return r.getWith(ctx, name, url.Values{"resourceVersion": {"0"}})
}

func (r Resource[T]) getWith(ctx context.Context, name string, query url.Values) (*T, error) {
	out := new(T)
	q := Request{
		Action: r.action("get", name), Method: http.MethodGet, Path: r.path + "/" + name, Of: r.named(name),
		Query: query,
	}
	if err := read(ctx, r.transport, q, out); err != nil {
		return nil, err
	}
	return out, nil
}

// ListOptions select what a list returns and how fresh it is.
type ListOptions struct {
	// Selector is a label selector. Empty lists all objects.
	Selector string
	// Cached reads from the server's watch cache. The result may be some milliseconds old, but the read never waits for
	// the cache to catch up with the newest write of any resource, which can take 100 ms.
	Cached bool
}

// List returns the selected objects. The error wraps ErrNotServed if the server does not serve the resource.
func (r Resource[T]) List(ctx context.Context, o ListOptions) ([]T, error) {
	query := url.Values{}
	if o.Selector != "" {
		query.Set("labelSelector", o.Selector)
	}
	if o.Cached {
		query.Set("resourceVersion", "0")
	}
	var list struct {
		Items []T `json:"items"`
	}
	err := read(ctx, r.transport, Request{
		Action: "list " + r.plural, Method: http.MethodGet, Path: r.path, Of: r.named(""),
		Query: query,
	}, &list)
	return list.Items, err
}

func (r Resource[T]) named(name string) Subject { return Subject{r.group, r.plural, name} }

func (r Resource[T]) action(verb, name string) string { return verb + " " + r.plural + " " + name }
