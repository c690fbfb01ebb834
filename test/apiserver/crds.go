// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const (
	pollInterval = 20 * time.Millisecond
	pollTimeout  = 30 * time.Second
	// fieldManager is the field manager of objects that the administrator applies.
	fieldManager = "calico-cni-test"
)

var crdResource = schema.GroupVersionResource{
	Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
}

// The API groups of Calico's objects.
const (
	V1 = "crd.projectcalico.org/v1"
	V3 = "projectcalico.org/v3"
)

// CalicoResource returns the resource of crd.projectcalico.org/v1 with a plural name, for a dynamic client.
func CalicoResource(plural string) schema.GroupVersionResource { return ResourceIn(V1, plural) }

// ResourceIn returns the resource with a plural name in a group and version, for a dynamic client.
func ResourceIn(groupVersion, plural string) schema.GroupVersionResource {
	group, version, _ := strings.Cut(groupVersion, "/")
	return schema.GroupVersionResource{Group: group, Version: version, Resource: plural}
}

// ApplyCRDs applies the CustomResourceDefinitions in all .yaml files of the root directory of files, and returns when
// all of them are served. Applying them again changes nothing.
//
// In the first two seconds after the creation of a CRD, the server delays the creation of its objects, so that all
// servers of a cluster know the CRD.
func (a Admin) ApplyCRDs(ctx context.Context, files fs.FS) error {
	crds, err := readCRDs(files)
	if err != nil {
		return err
	}
	client := a.dynamic.Resource(crdResource)
	for _, crd := range crds {
		// Force overrides fields of other field managers.
		options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
		if _, err := client.Apply(ctx, crd.GetName(), crd, options); err != nil {
			return fmt.Errorf("apply CRD %s: %w", crd.GetName(), err)
		}
	}
	for _, crd := range crds {
		if err := a.waitServed(ctx, crd); err != nil {
			return fmt.Errorf("wait for CRD %s: %w", crd.GetName(), err)
		}
	}
	return nil
}

// readCRDs returns the objects in the YAML files. It is an error if there are none.
func readCRDs(files fs.FS) ([]*unstructured.Unstructured, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list CRDs: %w", err)
	}
	var crds []*unstructured.Unstructured
	for _, name := range names {
		found, err := readYAML(files, name)
		if err != nil {
			return nil, fmt.Errorf("read CRDs in %s: %w", path.Base(name), err)
		}
		crds = append(crds, found...)
	}
	if len(crds) == 0 {
		return nil, errors.New("read CRDs: no YAML file contains one")
	}
	return crds, nil
}

// readYAML returns the objects of one file. Each must be a CRD.
func readYAML(files fs.FS, name string) ([]*unstructured.Unstructured, error) {
	file, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var objects []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(file, 4<<10); ; {
		object := new(unstructured.Unstructured)
		switch err := decoder.Decode(&object.Object); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, err
		case len(object.Object) == 0:
			continue
		case object.GetKind() != "CustomResourceDefinition":
			return nil, fmt.Errorf("%s %q is not a CustomResourceDefinition", object.GetKind(), object.GetName())
		}
		objects = append(objects, object)
	}
}

// waitServed waits until objects of the CRD can be listed. The server sets the condition Established shortly before its
// handlers know the CRD.
func (a Admin) waitServed(ctx context.Context, crd *unstructured.Unstructured) error {
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	plural, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "plural")
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	for _, v := range versions {
		version, _ := v.(map[string]any)
		if served, _, _ := unstructured.NestedBool(version, "served"); !served {
			continue
		}
		name, _, _ := unstructured.NestedString(version, "name")
		resource := schema.GroupVersionResource{Group: group, Version: name, Resource: plural}
		err := wait.PollUntilContextTimeout(ctx, pollInterval, pollTimeout, true, func(ctx context.Context) (bool, error) {
			established, err := a.established(ctx, crd.GetName())
			if err != nil || !established {
				return false, err
			}
			_, err = a.dynamic.Resource(resource).List(ctx, metav1.ListOptions{Limit: 1})
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			return err == nil, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// established reports whether the CRD has the condition Established.
func (a Admin) established(ctx context.Context, name string) (bool, error) {
	crd, err := a.dynamic.Resource(crdResource).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	for _, c := range conditions {
		if condition, ok := c.(map[string]any); ok && condition["type"] == "Established" {
			return condition["status"] == "True", nil
		}
	}
	return false, nil
}
