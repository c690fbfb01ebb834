// SPDX-License-Identifier: Apache-2.0

// Package kube is a small client of the Kubernetes API, based only on net/http: kubeconfig files, credentials,
// requests, retries and remedies. Package kubeapi has the objects and the classes of errors. The plugins use this
// client because client-go would delay every pod.
package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/time/rate"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/kubeapi"
)

// Client is a client of one API server. It uses one HTTP/2 connection or a few HTTP/1.1 connections.
type Client struct {
	sender    *sender
	explainer *explainer
}

// newClient reads the files of cluster and user. An error wraps ErrKubeconfig.
func newClient(c cluster, u user, from provenance, userAgent string) (*Client, error) {
	fail := func(err error) (*Client, error) {
		return nil, fmt.Errorf("%w in %s: %w", ErrKubeconfig, from.source, err)
	}
	server, err := serverURL(c.Server)
	if err == nil {
		err = check(c, u, server)
	}
	if err != nil {
		return fail(err)
	}
	if c.CA, err = c.authority(); err != nil {
		return fail(err)
	}
	c.ServerName = certificateName(c, server)
	// Credentials are not sent over http, which is not encrypted.
	id := &identity{user: user{impersonation: u.impersonation}}
	if server.Scheme == "https" {
		if id, err = identify(u, c); err != nil {
			return fail(err)
		}
	}
	transport, err := newTransport(c, server, id)
	if err != nil {
		return fail(err)
	}
	return &Client{
		sender: &sender{
			http: &http.Client{Transport: transport, CheckRedirect: sameHostOnly}, transport: transport,
			server: server, identity: id, userAgent: userAgent,
		},
		explainer: &explainer{
			server: server, provenance: from, caFile: c.CAFile, systemCAs: len(c.CA) == 0,
			identity: id, transport: transport,
		},
	}, nil
}

// Limited returns a client that is limited to qps requests per second with the given burst. Burst 0 means 10. Without a
// qps above 0 there is no limit.
func (c *Client) Limited(qps float32, burst int) *Client {
	if qps <= 0 {
		return c
	}
	if burst == 0 {
		burst = 10
	}
	sender, explainer := *c.sender, *c.explainer
	sender.limiter = rate.NewLimiter(rate.Limit(qps), burst)
	explainer.limit = fmt.Sprintf("; the configuration limits requests to qps %v and burst %d", qps, burst)
	return &Client{sender: &sender, explainer: &explainer}
}

// Host returns the URL of the API server for messages. A password in it is replaced by "xxxxx".
func (c *Client) Host() string { return c.explainer.host() }

// Close closes the connection. It is for long-running processes that create many clients.
func (c *Client) Close() { c.sender.http.CloseIdleConnections() }

// Do makes the request and implements kubeapi.Transport. The time limit of the request starts when it may be sent: the
// waits for the rate limit and for earlier requests do not count.
func (c *Client) Do(ctx context.Context, r kubeapi.Request) ([]byte, error) {
	leave, err := c.sender.enter(ctx)
	if err != nil {
		return nil, c.explainer.explain(ctx, r, err)
	}
	defer leave()
	ctx, cancel := deadline.Within(ctx, requestTimeout, "the request")
	defer cancel()
	body, err := c.sender.send(ctx, r)
	if err != nil {
		return nil, c.explainer.explain(ctx, r, err)
	}
	return body, nil
}

// Ping makes the smallest possible request. Its error wraps kubeapi.ErrUnauthorized if the server rejects the
// credentials, and kubeapi.ErrNotServed if it is not an API server.
func (c *Client) Ping(ctx context.Context) error {
	var answer struct {
		GitVersion string `json:"gitVersion"`
	}
	r := kubeapi.Request{Action: "get version", Method: http.MethodGet, Path: "/version", Of: kubeapi.Version}
	body, err := c.Do(ctx, r)
	if err == nil {
		err = r.Decode(body, &answer)
	}
	if errors.Is(err, kubeapi.ErrMalformed) || err == nil && answer.GitVersion == "" {
		return fmt.Errorf("%s: %w: the answer has no version%s", r.Action, kubeapi.ErrNotServed, c.explainer.anotherServer())
	}
	return err
}
