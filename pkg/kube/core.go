// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// metadataOnly requests only the metadata of an object.
const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// Meta is the part of an object's metadata that the plugins use.
type Meta struct {
	Name            string            `json:"name"`
	UID             string            `json:"uid"`
	ResourceVersion string            `json:"resourceVersion"`
	Labels          map[string]string `json:"labels"`
	Annotations     map[string]string `json:"annotations"`
}

// Pod returns the metadata of a pod. Its error wraps ErrNotFound if the pod does not exist.
func (c *Client) Pod(ctx context.Context, namespace, name string) (Meta, error) {
	return c.meta(ctx, podPath(namespace, name), fmt.Sprintf("get pod %s/%s", namespace, name),
		subject{"", "pods", name})
}

// Namespace returns the metadata of a namespace. Its error wraps ErrNotFound if the namespace does not exist.
func (c *Client) Namespace(ctx context.Context, name string) (Meta, error) {
	return c.meta(ctx, "/api/v1/namespaces/"+name, "get namespace "+name, subject{"", "namespaces", name})
}

// Node returns the metadata of a node. Its error wraps ErrNotFound if the node does not exist.
func (c *Client) Node(ctx context.Context, name string) (Meta, error) {
	return c.meta(ctx, nodePath(name), "get node "+name, subject{"", "nodes", name})
}

// PodCIDRs returns the pod CIDRs that the controller manager assigned to a node. Its error wraps ErrNotFound if the
// node does not exist.
func (c *Client) PodCIDRs(ctx context.Context, node string) ([]netip.Prefix, error) {
	var object struct {
		Spec struct {
			PodCIDR  string   `json:"podCIDR"`
			PodCIDRs []string `json:"podCIDRs"`
		} `json:"spec"`
	}
	r := request{what: "get node " + node, method: http.MethodGet, path: nodePath(node), of: subject{"", "nodes", node}}
	if err := c.do(ctx, r, &object); err != nil {
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

func (c *Client) meta(ctx context.Context, path, what string, of subject) (Meta, error) {
	var object struct {
		Metadata Meta `json:"metadata"`
	}
	err := c.do(ctx, request{what: what, method: http.MethodGet, path: path, of: of, accept: metadataOnly}, &object)
	return object.Metadata, err
}

// Ping makes the smallest possible request. Its error wraps ErrUnauthorized if the server rejects the credentials, and
// ErrNotServed if it is not an API server.
func (c *Client) Ping(ctx context.Context) error {
	var answer struct {
		GitVersion string `json:"gitVersion"`
	}
	r := request{what: "get version", method: http.MethodGet, path: "/version", of: version}
	switch err := c.do(ctx, r, &answer); {
	case errors.Is(err, ErrMalformed), err == nil && answer.GitVersion == "":
		return fmt.Errorf("%s: %w: the answer has no version%s", r.what, ErrNotServed, c.explainer.anotherServer())
	default:
		return err
	}
}

// AnnotatePod sets annotations of a pod, and removes those that are nil, with one patch of its status subresource. The
// pod must still have the UID and, unless it is empty, the resourceVersion of pod. Otherwise the error wraps
// ErrConflict. If the pod is gone, it wraps ErrNotFound.
func (c *Client) AnnotatePod(ctx context.Context, namespace string, pod Meta, annotations map[string]*string) error {
	patch, err := json.Marshal(map[string]any{"metadata": podPatch{
		UID: pod.UID, ResourceVersion: pod.ResourceVersion,
		Annotations: annotations,
	}})
	if err != nil {
		return fmt.Errorf("encode patch of pod %s/%s: %w", namespace, pod.Name, err)
	}
	return c.do(ctx, podStatusPatch(namespace, pod.Name, typeMergePatch, patch), nil)
}

// AnnotatePodIf sets annotations of a pod with one patch of its status subresource if the pod has the annotations of
// where. The error wraps ErrInvalid if it does not have them or lacks an annotation to be set, and ErrNotFound if the
// pod is gone.
func (c *Client) AnnotatePodIf(ctx context.Context, namespace, name string, where,
	annotations map[string]string,
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
	return c.do(ctx, podStatusPatch(namespace, name, typeJSONPatch, patch), nil)
}

// podStatusPatch returns the request for a patch of a pod's status subresource. content is the type of the patch.
func podStatusPatch(namespace, name, content string, patch []byte) request {
	return request{
		what: fmt.Sprintf("annotate pod %s/%s", namespace, name), method: http.MethodPatch,
		path:   podPath(namespace, name) + "/status",
		of:     subject{"", "pods", name},
		accept: metadataOnly, content: content, body: patch,
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
