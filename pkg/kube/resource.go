package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Resource reads and writes the objects of one cluster-scoped kind. T is the Go type of an object; it has to keep the
// fields that it does not know, for an update writes the whole object.
type Resource[T any] struct {
	client *Client
	path   string
	plural string
}

// NewResource returns the resource of a plural name in an API group and version, such as "ippools" in "crd.projectcalico.org/v1".
func NewResource[T any](c *Client, groupVersion, plural string) Resource[T] {
	return Resource[T]{client: c, path: "/apis/" + groupVersion + "/" + plural, plural: plural}
}

// Get returns the object of that name, or an error that wraps ErrNotFound.
func (r Resource[T]) Get(ctx context.Context, name string) (*T, error) {
	return r.object(ctx, request{what: r.what("get", name), method: http.MethodGet, path: r.path + "/" + name})
}

// ListOptions choose what a list returns and how fresh it is.
type ListOptions struct {
	// Selector is a label selector; empty lists all.
	Selector string
	// Cached takes the answer from the server's watch cache as it is. It may be some milliseconds old, but never waits
	// for the cache to catch up with the newest write of any resource, which can take 100 ms.
	Cached bool
}

// List returns the objects that the options choose. An error wraps ErrNotFound when the server does not know the kind.
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
	err := r.client.do(ctx, request{what: "list " + r.plural, method: http.MethodGet, path: r.path, query: query}, &list)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%w; apply the CustomResourceDefinition of %s", err, r.plural)
	}
	return list.Items, err
}

// Create stores a new object and returns it as stored. An error wraps ErrExists when the name is taken.
func (r Resource[T]) Create(ctx context.Context, name string, object *T) (*T, error) {
	return r.write(ctx, request{what: r.what("create", name), method: http.MethodPost, path: r.path}, object)
}

// Update replaces an object, compare-and-swap on the resourceVersion that it carries, and returns it as stored. An
// error wraps ErrConflict when it was changed meanwhile, ErrNotFound when it is gone.
func (r Resource[T]) Update(ctx context.Context, name string, object *T) (*T, error) {
	return r.write(ctx, request{what: r.what("update", name), method: http.MethodPut, path: r.path + "/" + name}, object)
}

// Delete removes the object of that name if it is still the one of that UID and resourceVersion. An error wraps
// ErrConflict when it is not, ErrNotFound when it is gone.
func (r Resource[T]) Delete(ctx context.Context, name, uid, resourceVersion string) error {
	body, err := json.Marshal(deleteOptions{
		APIVersion:    "v1",
		Kind:          "DeleteOptions",
		Preconditions: preconditions{UID: uid, ResourceVersion: resourceVersion},
	})
	if err != nil {
		return fmt.Errorf("encode delete options: %w", err)
	}
	return r.client.do(ctx, request{
		what: r.what("delete", name), method: http.MethodDelete, path: r.path + "/" + name, content: typeJSON, body: body,
	}, nil)
}

type deleteOptions struct {
	APIVersion    string        `json:"apiVersion"`
	Kind          string        `json:"kind"`
	Preconditions preconditions `json:"preconditions"`
}

type preconditions struct {
	UID             string `json:"uid,omitempty"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

func (r Resource[T]) write(ctx context.Context, q request, object *T) (*T, error) {
	body, err := encode(object)
	if err != nil {
		return nil, fmt.Errorf("encode for %s: %w", q.what, err)
	}
	q.content, q.body = typeJSON, body
	return r.object(ctx, q)
}

func (r Resource[T]) object(ctx context.Context, q request) (*T, error) {
	out := new(T)
	if err := r.client.do(ctx, q, out); err != nil {
		return nil, err
	}
	return out, nil
}

func (r Resource[T]) what(verb, name string) string { return verb + " " + r.plural + " " + name }
