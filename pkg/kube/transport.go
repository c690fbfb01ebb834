// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// serverURL returns the URL of a cluster's server. A path in it is prepended to the path of each request. The error
// wraps errServer and does not quote the server.
func serverURL(server string) (*url.URL, error) {
	u, err := parseServer(server)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errServer, err)
	}
	return u, nil
}

// Health checks of an HTTP/2 connection. A connection is pinged if nothing arrives for pingAfter, and closed if there
// is no reply within pingTimeout. Together they are shorter than the five seconds of an undo step, so that an undo step
// on a silently dead connection still has time for a new one. A server that is slow to answer requests still answers
// pings.
const (
	pingAfter   = time.Second
	pingTimeout = 3 * time.Second
)

// idleTimeout is how long a long-running process keeps a connection without requests.
const idleTimeout = 10 * time.Second

// transport sends requests over one HTTP/2 connection or a few HTTP/1.1 connections. The first requests of a command
// start concurrently, and each would otherwise open a connection of its own.
type transport struct {
	queue *requestQueue
	// negotiated has HTTP/2 and the first connection to a server that may use HTTP/1.1; http1 has the other
	// connections.
	negotiated, http1 *http.Transport
	// certificateRequested says that the server has requested a client certificate; answered says that it has answered a
	// request.
	certificateRequested, answered atomic.Bool
}

func newTransport(c cluster, server *url.URL, id *identity) (*transport, error) {
	tlsConfig, err := tlsConfigOf(c)
	if err != nil {
		return nil, err
	}
	proxy := http.ProxyFromEnvironment
	if c.Proxy != "" {
		u, err := url.Parse(c.Proxy)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
			return nil, errProxy
		}
		proxy = http.ProxyURL(u)
	}
	known := unknown
	if server.Scheme != "https" {
		known = http1
	}
	t := &transport{queue: newRequestQueue(known)}
	tlsConfig.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		t.certificateRequested.Store(true)
		return id.present(r)
	}
	tlsConfig.VerifyConnection = func(s tls.ConnectionState) error {
		t.queue.learn(negotiated(s))
		return nil
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	t.negotiated = &http.Transport{
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		MaxConnsPerHost:     1,
		IdleConnTimeout:     idleTimeout,
		DialContext:         dialer.DialContext,
		DisableCompression:  c.DisableCompression,
		Proxy:               proxy,
	}
	t.http1 = &http.Transport{
		TLSClientConfig:     tlsConfig.Clone(),
		TLSHandshakeTimeout: t.negotiated.TLSHandshakeTimeout,
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxConnsPerHost:     http1Connections,
		MaxIdleConnsPerHost: http1Connections,
		IdleConnTimeout:     idleTimeout,
		DialContext:         dialer.DialContext,
		DisableCompression:  c.DisableCompression,
		Proxy:               proxy,
	}
	t.negotiated.OnProxyConnectResponse, t.http1.OnProxyConnectResponse = connected, connected
	return t, nil
}

// proxyError is the answer of a proxy that opens no connection to the API server.
type proxyError struct{ proxy, status string }

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy %s refuses the connection to the API server with %q; check whether it is an HTTP proxy "+
		"that permits CONNECT, and correct proxy-url in the kubeconfig, or HTTPS_PROXY and NO_PROXY", e.proxy, e.status)
}

// connected checks the answer of a proxy to CONNECT.
func connected(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyError{proxy: proxy.Scheme + "://" + proxy.Host, status: answer.Status}
}

func negotiated(s tls.ConnectionState) protocol {
	if s.NegotiatedProtocol == "h2" {
		return http2
	}
	return http1
}

// RoundTrip sends a request over the protocol that is known so far.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.send(r)
	if err == nil {
		t.answered.Store(true)
	}
	return answer, err
}

func (t *transport) send(r *http.Request) (*http.Response, error) {
	if t.queue.protocol() == http1 {
		return t.http1.RoundTrip(r)
	}
	// net/http retries a request whose body it can get again. Over HTTP/1.1 it does so only if nothing was written.
	// Over HTTP/2 it also does so after a protocol error, when the request may already have been executed.
	once := r.WithContext(r.Context())
	once.GetBody = nil
	return t.negotiated.RoundTrip(once)
}

// CloseIdleConnections closes the connections without requests.
func (t *transport) CloseIdleConnections() {
	t.negotiated.CloseIdleConnections()
	t.http1.CloseIdleConnections()
}

func tlsConfigOf(c cluster) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName, InsecureSkipVerify: c.Insecure}
	if len(c.CA) > 0 {
		// If a CA is configured, only this CA is trusted.
		if config.RootCAs = x509.NewCertPool(); c.Insecure || !config.RootCAs.AppendCertsFromPEM(c.CA) {
			return nil, errCertificates
		}
	}
	return config, nil
}

// errRedirect: credentials are only for the API server.
var errRedirect = errors.New("the answer is a redirect to another server, and credentials are not sent there")

// sameHostOnly follows a redirect to another path of the same server and rejects all others.
func sameHostOnly(next *http.Request, before []*http.Request) error {
	first := before[0]
	if len(before) >= 10 || first.Method != http.MethodGet || next.URL.Scheme != first.URL.Scheme ||
		next.URL.Host != first.URL.Host {
		return errRedirect
	}
	return nil
}
