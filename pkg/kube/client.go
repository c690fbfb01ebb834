// Package kube is a small client of the Kubernetes API, on net/http alone: kubeconfig files, credentials, requests,
// retries, and the API's errors, for the few objects that a CNI plugin needs. It knows no types of Kubernetes beyond
// those: what their registration costs at start-up would be paid for with every pod. Pods, nodes and namespaces are read
// as metadata only.
package kube

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/time/rate"
)

// requestTimeout bounds one request from when it may be sent, its retries included; the callers' contexts bound the command.
const requestTimeout = 15 * time.Second

// Client speaks to one API server: over one HTTP/2 connection, or over a few of HTTP/1.1.
type Client struct {
	http      *http.Client
	transport *transport
	// server is what requests' paths are appended to.
	server    *url.URL
	identity  *identity
	userAgent string
	// source names where the credentials come from, for messages.
	source string
	// origin says who renews the credentials and the CA certificate.
	origin origin
	// authority is the file with the CA certificate, if it is in a file of its own.
	authority string
	// systemCAs says that the credentials name no CA, so that those of the node count.
	systemCAs bool
	// limiter holds requests back; nil when they are not limited.
	limiter *rate.Limiter
	// limit says in messages how requests are limited; empty when they are not.
	limit string
}

// newClient reads the files that cluster and user name. An error wraps ErrKubeconfig.
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
	// Credentials are not sent over http, where anybody could read them.
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
		http: &http.Client{Transport: transport, CheckRedirect: stay}, transport: transport,
		server: server, identity: id, source: source, authority: c.CAFile, userAgent: userAgent, systemCAs: len(c.CA) == 0,
	}, nil
}

// Limited returns the client with a limit of requests per second, and of how many may go out at once before that; burst 0
// is 10. Without a qps above 0 there is no limit.
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

// Host returns the URL of the API server for messages: a password in it shows as "xxxxx".
func (c *Client) Host() string { return c.server.Redacted() }

// Close gives up the connection. A process that lives long and makes many clients calls it.
func (c *Client) Close() { c.http.CloseIdleConnections() }
