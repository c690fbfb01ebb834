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

// Datastore creates, deletes and lists objects of crd.projectcalico.org/v1 as the administrator.
type Datastore struct {
	client dynamic.Interface
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
		"apiVersion": "crd.projectcalico.org/v1", "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec,
	}}
	if _, err := d.resource(plural).Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create %s %s: %w", kind, name, err)
	}
	return nil
}

// Delete deletes an object.
func (d Datastore) Delete(ctx context.Context, plural, name string) error {
	return d.resource(plural).Delete(ctx, name, metav1.DeleteOptions{})
}

// List returns the specs of all objects with a plural name, by name.
func (d Datastore) List(ctx context.Context, plural string) (map[string]map[string]any, error) {
	list, err := d.resource(plural).List(ctx, metav1.ListOptions{})
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

func (d Datastore) resource(plural string) dynamic.ResourceInterface {
	return d.client.Resource(apiserver.CalicoResource(plural))
}
