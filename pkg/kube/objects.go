package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
)

// Objects reads and writes the objects of one cluster-scoped kind, whose contents are of type S.
type Objects[S any] struct {
	Resource[Object[S]]
	// Untracked has the server no longer keep track of who set which field (metadata.managedFields). For an object of many
	// fields that is a third of what a write costs it, and it serves nobody where nobody applies the object.
	Untracked bool
}

// NewObjects returns those of a plural name in an API group and version.
func NewObjects[S any](c *Client, groupVersion, plural string) Objects[S] {
	return Objects[S]{Resource: NewResource[Object[S]](c, groupVersion, plural)}
}

// Create stores a new object and returns it with the metadata that the server gave it. An error wraps ErrExists when the
// name is taken.
func (r Objects[S]) Create(ctx context.Context, name string, object *Object[S]) (*Object[S], error) {
	return r.write(ctx, request{what: r.what("create", name), method: http.MethodPost, path: r.path, of: r.named("")}, object)
}

// Update replaces an object, compare-and-swap on the resourceVersion that it carries, and returns it with the metadata that
// it has now. An error wraps ErrConflict when it was changed meanwhile, ErrNotFound when it is gone.
func (r Objects[S]) Update(ctx context.Context, name string, object *Object[S]) (*Object[S], error) {
	if r.Untracked {
		object = object.untracked()
	}
	return r.write(ctx, request{what: r.what("update", name), method: http.MethodPut, path: r.path + "/" + name, of: r.named(name)}, object)
}

// untracked returns the object with what has the server forget who set its fields: one empty entry (Kubernetes' API
// concepts, "Server-Side Apply", clearing managedFields).
func (o *Object[S]) untracked() *Object[S] {
	if _, tracked := o.Metadata.rest[managedFields]; !tracked {
		return o
	}
	out := *o
	out.Metadata.rest = maps.Clone(o.Metadata.rest)
	out.Metadata.rest[managedFields] = json.RawMessage("[{}]")
	return &out
}

const managedFields = "managedFields"

// write has the server answer with the metadata alone: that is what it adds to what it was sent.
func (r Objects[S]) write(ctx context.Context, q request, object *Object[S]) (*Object[S], error) {
	body, err := encode(object)
	if err != nil {
		return nil, fmt.Errorf("encode for %s: %w", q.what, err)
	}
	q.accept, q.content, q.body = metadataOnly, typeJSON, body
	var answer struct {
		Metadata Metadata `json:"metadata"`
	}
	if err := r.client.do(ctx, q, &answer); err != nil {
		return nil, err
	}
	stored := *object
	stored.Metadata = answer.Metadata
	return &stored, nil
}

// Delete removes the object of that name if it is still the one of that UID and resourceVersion. An error wraps
// ErrConflict when it is not, ErrNotFound when it is gone.
func (r Objects[S]) Delete(ctx context.Context, name, uid, resourceVersion string) error {
	body, err := json.Marshal(deleteOptions{
		APIVersion:    "v1",
		Kind:          "DeleteOptions",
		Preconditions: preconditions{UID: uid, ResourceVersion: resourceVersion},
	})
	if err != nil {
		return fmt.Errorf("encode delete options: %w", err)
	}
	return r.client.do(ctx, request{
		what: r.what("delete", name), method: http.MethodDelete, path: r.path + "/" + name, of: r.named(name), content: typeJSON, body: body,
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
