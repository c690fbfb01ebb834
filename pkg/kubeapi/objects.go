// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
)

// Objects reads and writes the objects of one cluster-scoped kind with a spec of type S.
type Objects[S any] struct {
	Resource[Object[S]]
	// Untracked disables the tracking of field ownership (metadata.managedFields). For an object with many fields that
	// is a third of the cost of a write, and it has no use if the object is never applied.
	Untracked bool
}

// NewObjects returns the objects with a plural name in an API group and version.
func NewObjects[S any](t Transport, groupVersion, plural string) Objects[S] {
	return Objects[S]{Resource: NewResource[Object[S]](t, groupVersion, plural)}
}

// Create creates an object and returns it with the metadata from the server. The error wraps ErrExists if the name is
// taken.
func (r Objects[S]) Create(ctx context.Context, name string, object *Object[S]) (*Object[S], error) {
	return r.write(ctx, Request{
		Action: r.action("create", name), Method: http.MethodPost, Path: r.path, Of: r.named(""),
	}, object)
}

// Update replaces an object by compare-and-swap on its resourceVersion and returns it with its new metadata. The error
// wraps ErrConflict if the object has changed, and ErrNotFound if it is gone.
func (r Objects[S]) Update(ctx context.Context, name string, object *Object[S]) (*Object[S], error) {
	if r.Untracked {
		object = object.untracked()
	}
	return r.write(ctx, Request{
		Action: r.action("update", name), Method: http.MethodPut, Path: r.path + "/" + name, Of: r.named(name),
	}, object)
}

// untracked returns the object with an entry that makes the server clear the field ownership: a single empty one
// (Kubernetes API concepts, "Server-Side Apply", clearing managedFields).
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

// write requests only the metadata in the response, because the rest equals what was sent.
func (r Objects[S]) write(ctx context.Context, q Request, object *Object[S]) (*Object[S], error) {
	body, err := encode(object)
	if err != nil {
		return nil, fmt.Errorf("encode for %s: %w", q.Action, err)
	}
	q.Accept, q.Content, q.Body = metadataOnly, JSON, body
	var answer struct {
		Metadata Metadata `json:"metadata"`
	}
	if err := read(ctx, r.transport, q, &answer); err != nil {
		return nil, err
	}
	stored := *object
	stored.Metadata = answer.Metadata
	return &stored, nil
}

// Delete deletes an object if it has the given UID and resourceVersion. The error wraps ErrConflict if it has others,
// and ErrNotFound if it is gone.
func (r Objects[S]) Delete(ctx context.Context, name, uid, resourceVersion string) error {
	body, err := json.Marshal(deleteOptions{
		APIVersion:    "v1",
		Kind:          "DeleteOptions",
		Preconditions: preconditions{UID: uid, ResourceVersion: resourceVersion},
	})
	if err != nil {
		return fmt.Errorf("encode delete options: %w", err)
	}
	_, err = r.transport.Do(ctx, Request{
		Action: r.action("delete", name), Method: http.MethodDelete, Path: r.path + "/" + name, Of: r.named(name),
		Content: JSON, Body: body,
	})
	return err
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
