package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// metadataOnly makes the server leave out everything of an object but its metadata.
const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// Meta is the part of an object's metadata that the plugins look at.
type Meta struct {
	Name            string            `json:"name"`
	UID             string            `json:"uid"`
	ResourceVersion string            `json:"resourceVersion"`
	Labels          map[string]string `json:"labels"`
	Annotations     map[string]string `json:"annotations"`
}

// Pod returns the metadata of a pod, or an error that wraps ErrNotFound.
func (c *Client) Pod(ctx context.Context, namespace, name string) (Meta, error) {
	return c.meta(ctx, c.rest.Get().AbsPath(podPath(namespace, name)), fmt.Sprintf("get pod %s/%s", namespace, name))
}

// Namespace returns the metadata of a namespace, or an error that wraps ErrNotFound.
func (c *Client) Namespace(ctx context.Context, name string) (Meta, error) {
	return c.meta(ctx, c.rest.Get().AbsPath("/api/v1/namespaces", name), "get namespace "+name)
}

// Node returns the metadata of a node, or an error that wraps ErrNotFound.
func (c *Client) Node(ctx context.Context, name string) (Meta, error) {
	return c.meta(ctx, c.rest.Get().AbsPath("/api/v1/nodes", name), "get node "+name)
}

func (c *Client) meta(ctx context.Context, r *rest.Request, what string) (Meta, error) {
	var object struct {
		Metadata Meta `json:"metadata"`
	}
	err := c.do(ctx, r.SetHeader("Accept", metadataOnly), what, &object)
	return object.Metadata, err
}

// Ping makes the smallest request that there is. An error wraps ErrUnauthorized when the server does not know who asks.
func (c *Client) Ping(ctx context.Context) error {
	return c.do(ctx, c.rest.Get().AbsPath("/version"), "get version", nil)
}

// AnnotatePod sets annotations of a pod, and removes those that are nil, by one patch of its status subresource, provided that the pod is still the one
// of that UID and, unless it is empty, that resourceVersion. An error wraps ErrConflict when it is another or was
// changed, ErrNotFound when it is gone.
func (c *Client) AnnotatePod(ctx context.Context, namespace string, pod Meta, annotations map[string]*string) error {
	patch, err := json.Marshal(map[string]any{"metadata": podPatch{UID: pod.UID, ResourceVersion: pod.ResourceVersion, Annotations: annotations}})
	if err != nil {
		return fmt.Errorf("encode patch of pod %s/%s: %w", namespace, pod.Name, err)
	}
	r := c.rest.Patch(types.MergePatchType).AbsPath(podPath(namespace, pod.Name), "status").SetHeader("Accept", metadataOnly).Body(patch)
	return c.do(ctx, r, fmt.Sprintf("annotate pod %s/%s", namespace, pod.Name), nil)
}

type podPatch struct {
	UID             string             `json:"uid,omitempty"`
	ResourceVersion string             `json:"resourceVersion,omitempty"`
	Annotations     map[string]*string `json:"annotations"`
}

// Token is a bearer token of a service account.
type Token struct {
	Value   string
	Expires time.Time
}

// RequestToken has the server issue a token for a service account that is valid for about ttl.
func (c *Client) RequestToken(ctx context.Context, namespace, account string, ttl time.Duration) (Token, error) {
	body := fmt.Appendf(nil, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":%d}}`, int64(ttl.Seconds()))
	r := c.rest.Post().AbsPath("/api/v1/namespaces", namespace, "serviceaccounts", account, "token").SetHeader("Content-Type", "application/json").Body(body)
	var answer struct {
		Status struct {
			Token   string    `json:"token"`
			Expires time.Time `json:"expirationTimestamp"`
		} `json:"status"`
	}
	if err := c.do(ctx, r, fmt.Sprintf("request token of service account %s/%s", namespace, account), &answer); err != nil {
		return Token{}, err
	}
	return Token{Value: answer.Status.Token, Expires: answer.Status.Expires}, nil
}

func podPath(namespace, name string) string {
	return "/api/v1/namespaces/" + namespace + "/pods/" + name
}
