// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"calico-cni/test/apiserver"
)

// Datastore creates, deletes and lists Calico's objects as the administrator. Kinds and resources have the names of
// crd.projectcalico.org/v1.
type Datastore struct {
	client dynamic.Interface
	// Group is the API group of the objects.
	Group string
}

// NewDatastore returns the datastore of an API server.
func NewDatastore(client dynamic.Interface, group string) Datastore {
	return Datastore{client: client, Group: group}
}

// CreatePool creates an IPPool. change may modify it first.
func (d Datastore) CreatePool(ctx context.Context, name, cidr string, blockSize int,
	change ...func(spec map[string]any),
) error {
	spec := map[string]any{"cidr": cidr, "blockSize": int64(blockSize), "nodeSelector": "all()"}
	for _, f := range change {
		f(spec)
	}
	return d.Create(ctx, "IPPool", "ippools", name, spec)
}

// Create creates an object.
func (d Datastore) Create(ctx context.Context, kind, plural, name string, spec map[string]any) error {
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": d.Group, "kind": d.kind(kind), "metadata": map[string]any{"name": name}, "spec": spec,
	}}
	if _, err := d.Resource(plural).Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create %s %s: %w", kind, name, err)
	}
	return nil
}

// Delete deletes an object.
func (d Datastore) Delete(ctx context.Context, plural, name string) error {
	return d.Resource(plural).Delete(ctx, name, metav1.DeleteOptions{})
}

// List returns the specs of all objects with a plural name, by name.
func (d Datastore) List(ctx context.Context, plural string) (map[string]map[string]any, error) {
	list, err := d.Resource(plural).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", plural, err)
	}
	out := map[string]map[string]any{}
	for _, item := range list.Items {
		spec, _, _ := unstructured.NestedMap(item.Object, "spec")
		out[item.GetName()] = spec
	}
	return out, nil
}

// Resource returns a client for the objects with a plural name.
func (d Datastore) Resource(plural string) dynamic.ResourceInterface {
	if d.Group == apiserver.V3 && plural == "ipamconfigs" {
		plural = "ipamconfigurations"
	}
	return d.client.Resource(apiserver.ResourceIn(d.Group, plural))
}

func (d Datastore) kind(kind string) string {
	if d.Group == apiserver.V3 && kind == "IPAMConfig" {
		return "IPAMConfiguration"
	}
	return kind
}
