package kube

import (
	"context"
	"errors"
	"time"
)

// tokenRequest is the object that the server issues a token for.
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

// RequestNodeToken is RequestToken for a token that is bound to a Node: the server refuses it once that Node is deleted.
// bound is false when the server issued one that is not: before Kubernetes 1.31 it binds tokens to no Nodes, and it binds
// none to a Node that does not exist.
func (c *Client) RequestNodeToken(ctx context.Context, namespace, account, node string, ttl time.Duration) (token Token, bound bool, err error) {
	spec := tokenSpec{Seconds: int64(ttl.Seconds()), Bound: &boundRef{"v1", "Node", node}}
	token, err = c.requestToken(ctx, namespace, account, spec)
	if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrNotFound) {
		return token, err == nil, err
	}
	token, err = c.RequestToken(ctx, namespace, account, ttl)
	return token, false, err
}
