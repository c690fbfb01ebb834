// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"time"
)

// tokenRequest is the object with which a client requests a token.
//
// Source: the Kubernetes reference, "TokenRequest".
type tokenRequest struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Spec       tokenSpec `json:"spec"`
}

type tokenSpec struct {
	Seconds int64     `json:"expirationSeconds"`
	Bound   *boundRef `json:"boundObjectRef,omitempty"`
}

type boundRef struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
}

// RequestNodeToken requests a token that is bound to a Node: the server rejects it once the Node is deleted. bound is
// false if the server issued an unbound token. Before Kubernetes 1.31 the server cannot bind tokens to Nodes, and it
// never binds a token to a Node that does not exist.
func (c *Client) RequestNodeToken(ctx context.Context, namespace, account, node string, ttl time.Duration) (token Token,
	bound bool, err error,
) {
	spec := tokenSpec{Seconds: int64(ttl.Seconds()), Bound: &boundRef{"v1", "Node", node}}
	token, err = c.postToken(ctx, namespace, account, spec)
	// A 404 about the Node is not about the service account, and is therefore ErrNotServed.
	if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrNotServed) {
		return token, err == nil, err
	}
	token, err = c.RequestToken(ctx, namespace, account, ttl)
	return token, false, err
}
