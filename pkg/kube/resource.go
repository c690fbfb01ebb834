package kube

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// Resource reads the objects of one cluster-scoped kind. T is the Go type of an object.
type Resource[T any] struct {
	client        *Client
	path          string
	group, plural string
}

// NewResource returns the resource of a plural name in an API group and version, such as "ippools" in "crd.projectcalico.org/v1".
func NewResource[T any](c *Client, groupVersion, plural string) Resource[T] {
	group, _, _ := strings.Cut(groupVersion, "/")
	return Resource[T]{client: c, path: "/apis/" + groupVersion + "/" + plural, group: group, plural: plural}
}

// Get returns the object of that name, or an error that wraps ErrNotFound.
func (r Resource[T]) Get(ctx context.Context, name string) (*T, error) {
	return r.get(ctx, name, nil)
}

// GetCached returns the object from the server's watch cache as it is: it may be some milliseconds old.
func (r Resource[T]) GetCached(ctx context.Context, name string) (*T, error) {
	return r.get(ctx, name, url.Values{"resourceVersion": {"0"}})
}

func (r Resource[T]) get(ctx context.Context, name string, query url.Values) (*T, error) {
	out := new(T)
	q := request{what: r.what("get", name), method: http.MethodGet, path: r.path + "/" + name, of: r.named(name), query: query}
	if err := r.client.do(ctx, q, out); err != nil {
		return nil, err
	}
	return out, nil
}

// ListOptions choose what a list returns and how fresh it is.
type ListOptions struct {
	// Selector is a label selector; empty lists all.
	Selector string
	// Cached takes the answer from the server's watch cache as it is. It may be some milliseconds old, but never waits
	// for the cache to catch up with the newest write of any resource, which can take 100 ms.
	Cached bool
}

// List returns the objects that the options choose. An error wraps ErrNotServed when the server does not
// serve the resource.
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
	err := r.client.do(ctx, request{what: "list " + r.plural, method: http.MethodGet, path: r.path, of: r.named(""), query: query}, &list)
	return list.Items, err
}

func (r Resource[T]) named(name string) subject { return subject{r.group, r.plural, name} }

func (r Resource[T]) what(verb, name string) string { return verb + " " + r.plural + " " + name }
