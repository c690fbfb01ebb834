// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Meta is the part of an object's metadata that the plugins use.
type Meta struct {
	Name            string            `json:"name"`
	UID             string            `json:"uid"`
	ResourceVersion string            `json:"resourceVersion"`
	Labels          map[string]string `json:"labels"`
	Annotations     map[string]string `json:"annotations"`
}

// Pod returns the metadata of a pod. Its error wraps ErrNotFound if the pod does not exist.
func Pod(ctx context.Context, t Transport, namespace, name string) (Meta, error) {
	return meta(ctx, t, podPath(namespace, name), fmt.Sprintf("get pod %s/%s", namespace, name),
		Subject{"", "pods", name})
}

// Namespace returns the metadata of a namespace. Its error wraps ErrNotFound if the namespace does not exist.
func Namespace(ctx context.Context, t Transport, name string) (Meta, error) {
	return meta(ctx, t, "/api/v1/namespaces/"+name, "get namespace "+name, Subject{"", "namespaces", name})
}

// Node returns the metadata of a node. Its error wraps ErrNotFound if the node does not exist.
func Node(ctx context.Context, t Transport, name string) (Meta, error) {
	return meta(ctx, t, nodePath(name), "get node "+name, Subject{"", "nodes", name})
}

// PodCIDRs returns the pod CIDRs that the controller manager assigned to a node. Its error wraps ErrNotFound if the
// node does not exist.
func PodCIDRs(ctx context.Context, t Transport, node string) ([]netip.Prefix, error) {
	var object struct {
		Spec struct {
			PodCIDR  string   `json:"podCIDR"`
			PodCIDRs []string `json:"podCIDRs"`
		} `json:"spec"`
	}
	r := Request{Action: "get node " + node, Method: http.MethodGet, Path: nodePath(node), Of: Subject{"", "nodes", node}}
	if err := read(ctx, t, r, &object); err != nil {
		return nil, err
	}
	all := object.Spec.PodCIDRs
	if len(all) == 0 && object.Spec.PodCIDR != "" {
		all = []string{object.Spec.PodCIDR}
	}
	cidrs := make([]netip.Prefix, len(all))
	for i, text := range all {
		var err error
		if cidrs[i], err = netip.ParsePrefix(text); err != nil {
			return nil, fmt.Errorf("get node %s: %w: pod CIDR %q: want an address with a prefix length; correct "+
				"the node", node, ErrMalformed, text)
		}
	}
	return cidrs, nil
}

func meta(ctx context.Context, t Transport, path, action string, of Subject) (Meta, error) {
	var object struct {
		Metadata Meta `json:"metadata"`
	}
	r := Request{Action: action, Method: http.MethodGet, Path: path, Of: of, Accept: metadataOnly}
	err := read(ctx, t, r, &object)
	return object.Metadata, err
}

// AnnotatePod sets annotations of a pod, and removes those that are nil, with one patch of its status subresource. The
// pod must still have the UID and, unless it is empty, the resourceVersion of pod. Otherwise the error wraps
// ErrConflict. If the pod is gone, it wraps ErrNotFound.
func AnnotatePod(
	ctx context.Context, t Transport, namespace string, pod Meta, annotations map[string]*string,
) error {
	patch, err := json.Marshal(map[string]any{"metadata": podPatch{
		UID: pod.UID, ResourceVersion: pod.ResourceVersion,
		Annotations: annotations,
	}})
	if err != nil {
		return fmt.Errorf("encode patch of pod %s/%s: %w", namespace, pod.Name, err)
	}
	_, err = t.Do(ctx, podStatusPatch(namespace, pod.Name, mergePatch, patch))
	return err
}

// AnnotatePodIf sets annotations of a pod with one patch of its status subresource if the pod has the annotations of
// where. The error wraps ErrInvalid if it does not have them or lacks an annotation to be set, and ErrNotFound if the
// pod is gone.
func AnnotatePodIf(
	ctx context.Context, t Transport, namespace, name string, where, annotations map[string]string,
) error {
	var operations []operation
	for _, key := range slices.Sorted(maps.Keys(where)) {
		operations = append(operations, operation{"test", annotationPath(key), where[key]})
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		operations = append(operations, operation{"replace", annotationPath(key), annotations[key]})
	}
	patch, err := json.Marshal(operations)
	if err != nil {
		return fmt.Errorf("encode patch of pod %s/%s: %w", namespace, name, err)
	}
	_, err = t.Do(ctx, podStatusPatch(namespace, name, jsonPatch, patch))
	return err
}

// podStatusPatch returns the request for a patch of a pod's status subresource. content is the type of the patch.
func podStatusPatch(namespace, name, content string, patch []byte) Request {
	return Request{
		Action: fmt.Sprintf("annotate pod %s/%s", namespace, name), Method: http.MethodPatch,
		Path:   podPath(namespace, name) + "/status",
		Of:     Subject{"", "pods", name},
		Accept: metadataOnly, Content: content, Body: patch,
	}
}

// operation is one operation of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

// annotationPath returns the JSON pointer to an annotation (RFC 6901).
func annotationPath(key string) string {
	return "/metadata/annotations/" + strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

type podPatch struct {
	UID             string             `json:"uid,omitempty"`
	ResourceVersion string             `json:"resourceVersion,omitempty"`
	Annotations     map[string]*string `json:"annotations"`
}

func podPath(namespace, name string) string {
	return "/api/v1/namespaces/" + namespace + "/pods/" + name
}

func nodePath(name string) string { return "/api/v1/nodes/" + name }
