// SPDX-License-Identifier: Apache-2.0

// Package kube is a small client of the Kubernetes API, based only on net/http: kubeconfig files, credentials,
// requests, retries and API errors, for the few objects that a CNI plugin needs. It does not use the types of
// Kubernetes, because their registration at start-up would delay every pod. It reads pods, nodes and namespaces only as
// metadata.
package kube

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/time/rate"
)

// requestTimeout bounds one request with its retries, from the time when it may be sent. The caller's context bounds
// the command.
const requestTimeout = 15 * time.Second

// Client is a client of one API server. It uses one HTTP/2 connection or a few HTTP/1.1 connections.
type Client struct {
	http      *http.Client
	transport *transport
	// server is the URL to which the paths of requests are appended.
	server    *url.URL
	identity  *identity
	userAgent string
	// source names the origin of the credentials in messages.
	source string
	// origin says which program renews the credentials and the CA certificate.
	origin origin
	// authority is the path of the CA certificate, if it has a separate file.
	authority string
	// systemCAs says that the configuration names no CA, so that the CAs of the node apply.
	systemCAs bool
	// limiter limits the rate of requests; nil means no limit.
	limiter *rate.Limiter
	// limit describes the rate limit in messages; empty means no limit.
	limit string
}

// newClient reads the files of cluster and user. An error wraps ErrKubeconfig.
func newClient(c cluster, u user, source, userAgent string) (*Client, error) {
	fail := func(err error) (*Client, error) { return nil, fmt.Errorf("%w in %s: %w", ErrKubeconfig, source, err) }
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
		http: &http.Client{Transport: transport, CheckRedirect: sameHostOnly}, transport: transport,
		server: server, identity: id, source: source, authority: c.CAFile, userAgent: userAgent,
		systemCAs: len(c.CA) == 0,
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
	limited := *c
	limited.limiter = rate.NewLimiter(rate.Limit(qps), burst)
	limited.limit = fmt.Sprintf("; the configuration limits requests to qps %v and burst %d", qps, burst)
	return &limited
}

// Host returns the URL of the API server for messages. A password in it is replaced by "xxxxx".
func (c *Client) Host() string { return c.server.Redacted() }

// Close closes the connection. It is for long-running processes that create many clients.
func (c *Client) Close() { c.http.CloseIdleConnections() }
