// SPDX-License-Identifier: Apache-2.0

package startup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/kubeapi"
)

// Client implements API, and reads and patches nodes.
type Client struct {
	Transport kubeapi.Transport
	// Group is the API group of Calico's objects with its version, such as crd.projectcalico.org/v1.
	Group string
}

// Media types of patches.
const (
	mergePatch     = "application/merge-patch+json"
	strategicPatch = "application/strategic-merge-patch+json"
)

// Node reads a node. The error wraps kubeapi.ErrNotFound if it does not exist.
func (c Client) Node(ctx context.Context, name string) (Node, error) {
	r := c.node("get node", http.MethodGet, name)
	body, err := c.Transport.Do(ctx, r)
	if errors.Is(err, kubeapi.ErrNotFound) {
		return Node{}, fmt.Errorf("%w; set NODENAME to the name that `kubectl get nodes` shows", err)
	}
	if err != nil {
		return Node{}, err
	}
	var object struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
		Status struct {
			Addresses []struct {
				Type    string `json:"type"`
				Address string `json:"address"`
			} `json:"addresses"`
			Conditions []Condition `json:"conditions"`
		} `json:"status"`
	}
	if err := r.Decode(body, &object); err != nil {
		return Node{}, err
	}
	n := Node{Annotations: object.Metadata.Annotations, Conditions: object.Status.Conditions}
	for _, a := range object.Status.Addresses {
		if addr, err := netip.ParseAddr(a.Address); err == nil && a.Type == "InternalIP" {
			n.Internal = append(n.Internal, addr)
		}
	}
	return n, nil
}

// PatchAnnotations sends a patch of AnnotationPatch. A nil patch sends nothing.
func (c Client) PatchAnnotations(ctx context.Context, node string, patch []byte) error {
	return c.patch(ctx, "annotate node", node, mergePatch, patch)
}

// PatchCondition sends a patch of ConditionPatch. A nil patch sends nothing.
func (c Client) PatchCondition(ctx context.Context, node string, patch []byte) error {
	return c.patch(ctx, "set condition of node", node, strategicPatch, patch)
}

// patch patches the status subresource, which allows annotations as well, so that the agent needs no right to change
// nodes otherwise.
func (c Client) patch(ctx context.Context, action, node, content string, patch []byte) error {
	if patch == nil {
		return nil
	}
	r := c.node(action, http.MethodPatch, node)
	r.Path, r.Content, r.Body = r.Path+"/status", content, patch
	_, err := c.Transport.Do(ctx, r)
	return err
}

func (c Client) node(action, method, name string) kubeapi.Request {
	return kubeapi.Request{
		Action: action + " " + name, Method: method, Path: "/api/v1/nodes/" + name,
		Of: kubeapi.Subject{Resource: "nodes", Name: name},
	}
}

// Create implements API. It looks for the object first, because a read is cheaper than a refused write.
func (c Client) Create(ctx context.Context, o Object) error {
	objects := kubeapi.NewObjects[json.RawMessage](c.Transport, c.Group, o.Plural)
	if _, err := objects.GetCached(ctx, o.Name); err == nil || !errors.Is(err, kubeapi.ErrNotFound) {
		return err
	}
	content, err := json.Marshal(o.Spec)
	if err != nil {
		return fmt.Errorf("encode %s %s: %w", o.Kind, o.Name, err)
	}
	object := kubeapi.Object[json.RawMessage]{APIVersion: c.Group, Kind: o.Kind, Spec: content}
	object.Metadata.Name = o.Name
	if _, err = objects.Create(ctx, o.Name, &object); errors.Is(err, kubeapi.ErrExists) {
		return nil
	}
	return err
}

// Pools implements API.
func (c Client) Pools(ctx context.Context) ([]netip.Prefix, error) {
	list, err := kubeapi.NewObjects[spec.IPPool](c.Transport, c.Group, "ippools").List(ctx, kubeapi.ListOptions{})
	if err != nil {
		return nil, err
	}
	var all []netip.Prefix
	for _, p := range list {
		if cidr, err := netip.ParsePrefix(p.Spec.CIDR); err == nil {
			all = append(all, cidr)
		}
	}
	return all, nil
}

// Kubeadm implements API.
func (c Client) Kubeadm(ctx context.Context) (string, error) {
	r := kubeapi.Request{
		Action: "get ConfigMap kube-system/kubeadm-config", Method: http.MethodGet,
		Path:  "/api/v1/namespaces/kube-system/configmaps/kubeadm-config",
		Query: url.Values{"resourceVersion": {"0"}},
		Of:    kubeapi.Subject{Resource: "configmaps", Name: "kubeadm-config"},
	}
	body, err := c.Transport.Do(ctx, r)
	switch {
	case errors.Is(err, kubeapi.ErrNotFound):
		return "", nil
	case errors.Is(err, kubeapi.ErrForbidden):
		return "", fmt.Errorf("%w; permit it, or set CALICO_IPV4POOL_CIDR and CALICO_IPV6POOL_CIDR", err)
	case err != nil:
		return "", err
	}
	var object struct {
		Data map[string]string `json:"data"`
	}
	if err := r.Decode(body, &object); err != nil {
		return "", err
	}
	return object.Data["ClusterConfiguration"], nil
}
