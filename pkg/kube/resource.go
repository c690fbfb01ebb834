package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/client-go/rest"
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
	return r.object(ctx, r.client.rest.Get().AbsPath(r.path, name), "get", name)
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
	request := r.client.rest.Get().AbsPath(r.path)
	if o.Selector != "" {
		request.Param("labelSelector", o.Selector)
	}
	if o.Cached {
		request.Param("resourceVersion", "0")
	}
	var list struct {
		Items []T `json:"items"`
	}
	err := r.client.do(ctx, request, "list "+r.plural, &list)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%w; apply the CustomResourceDefinition of %s", err, r.plural)
	}
	return list.Items, err
}

// Create stores a new object and returns it as stored. An error wraps ErrExists when the name is taken.
func (r Resource[T]) Create(ctx context.Context, name string, object *T) (*T, error) {
	return r.write(ctx, r.client.rest.Post().AbsPath(r.path), "create", name, object)
}

// Update replaces an object, compare-and-swap on the resourceVersion that it carries, and returns it as stored. An
// error wraps ErrConflict when it was changed meanwhile, ErrNotFound when it is gone.
func (r Resource[T]) Update(ctx context.Context, name string, object *T) (*T, error) {
	return r.write(ctx, r.client.rest.Put().AbsPath(r.path, name), "update", name, object)
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
	return r.client.do(ctx, r.client.rest.Delete().AbsPath(r.path, name).SetHeader("Content-Type", "application/json").Body(body), "delete "+r.plural+" "+name, nil)
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

func (r Resource[T]) write(ctx context.Context, request *rest.Request, verb, name string, object *T) (*T, error) {
	body, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", r.plural, name, err)
	}
	return r.object(ctx, request.SetHeader("Content-Type", "application/json").Body(body), verb, name)
}

func (r Resource[T]) object(ctx context.Context, request *rest.Request, verb, name string) (*T, error) {
	out := new(T)
	if err := r.client.do(ctx, request, verb+" "+r.plural+" "+name, out); err != nil {
		return nil, err
	}
	return out, nil
}
