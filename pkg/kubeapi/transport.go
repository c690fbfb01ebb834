// SPDX-License-Identifier: Apache-2.0

// Package kubeapi describes the Kubernetes API independently of a client: requests, the classes of responses, and the
// few objects that the plugins and the store need. It does not use the types of Kubernetes, because their registration
// at start-up would delay every pod. It reads pods, nodes and namespaces only as metadata.
//
// A client implements Transport: pkg/kube for the plugins, pkg/kubeapi/clientgo for daemons.
package kubeapi

import (
	"context"
	"fmt"
)

// Transport sends requests to an API server.
type Transport interface {
	// Do sends a request and returns the body of a successful response. Its error has the name of the request and wraps
	// exactly one of the classes of this package. It repeats a write only if the write was certainly not executed.
	Do(ctx context.Context, r Request) ([]byte, error)
}

// read sends a request and decodes the response.
func read(ctx context.Context, t Transport, r Request, into any) error {
	body, err := t.Do(ctx, r)
	if err != nil {
		return err
	}
	return r.Decode(body, into)
}

// Decode decodes the body of the response to a request. The error wraps ErrMalformed.
func (r Request) Decode(body []byte, into any) error {
	if err := decode(body, into); err != nil {
		return fmt.Errorf("%s: %w", r.Action, undecodable(body, err))
	}
	return nil
}
