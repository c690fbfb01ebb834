package kube

import (
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

// serverURL returns the URL of a cluster's server. A path in it precedes the path of each request. An error wraps errServer,
// and does not quote the server.
func serverURL(server string) (*url.URL, error) {
	u, err := parseServer(server)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errServer, err)
	}
	return u, nil
}

// Health checks of an HTTP/2 connection. A connection on which nothing arrives for pingAfter is pinged, and closed when
// the answer takes longer than pingTimeout. Together they are less than the five seconds of an undo step, so that a step
// that meets a connection which died silently still has time for a new one. A server that is slow to answer requests
// still answers pings.
const (
	pingAfter   = time.Second
	pingTimeout = 3 * time.Second
)

// idleTimeout is how long a connection without requests is kept: for a process that lives long.
const idleTimeout = 10 * time.Second

// transport sends requests over one HTTP/2 connection, or over a few of HTTP/1.1. A command's first requests go out side
// by side, and each would otherwise dial and shake hands for itself.
type transport struct {
	lanes *lanes
	// negotiated takes HTTP/2, and the first connection to a server that may speak HTTP/1.1; http1 takes the others.
	negotiated, http1 *http.Transport
	// certificateAsked says that the server has asked for a client certificate, answered that it has answered a request.
	certificateAsked, answered atomic.Bool
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
	t := &transport{lanes: newLanes(known)}
	tlsConfig.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		t.certificateAsked.Store(true)
		return id.present(r)
	}
	tlsConfig.VerifyConnection = func(s tls.ConnectionState) error {
		t.lanes.learn(negotiated(s))
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
	return t, nil
}

func negotiated(s tls.ConnectionState) protocol {
	if s.NegotiatedProtocol == "h2" {
		return http2
	}
	return http1
}

// RoundTrip sends a request over the protocol that is known by now.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.roundTrip(r)
	if err == nil {
		t.answered.Store(true)
	}
	return answer, err
}

func (t *transport) roundTrip(r *http.Request) (*http.Response, error) {
	if t.lanes.protocol() == http1 {
		return t.http1.RoundTrip(r)
	}
	// net/http repeats a request whose body it can get again. Over HTTP/1.1 it does so when nothing was written, but over
	// HTTP/2 also when a peer reports a protocol error, by which time the request may have been executed.
	once := r.WithContext(r.Context())
	once.GetBody = nil
	return t.negotiated.RoundTrip(once)
}

// CloseIdleConnections closes the connections that no request uses.
func (t *transport) CloseIdleConnections() {
	t.negotiated.CloseIdleConnections()
	t.http1.CloseIdleConnections()
}

func tlsConfigOf(c cluster) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName, InsecureSkipVerify: c.Insecure}
	if len(c.CA) > 0 {
		// Whoever names a CA wants it to be asked.
		if config.RootCAs = x509.NewCertPool(); c.Insecure || !config.RootCAs.AppendCertsFromPEM(c.CA) {
			return nil, errCertificates
		}
	}
	return config, nil
}

// errRedirect: credentials are for the API server alone.
var errRedirect = errors.New("the answer is a redirect to another server, and credentials are not sent there")

// stay follows a redirect to another path of the same server, and no other.
func stay(next *http.Request, before []*http.Request) error {
	first := before[0]
	if len(before) >= 10 || first.Method != http.MethodGet || next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host {
		return errRedirect
	}
	return nil
}
