// SPDX-License-Identifier: Apache-2.0

// Package proxy provides a reverse proxy between a plugin and the real API server. It counts requests, bytes, rounds
// and connections, and injects faults.
package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// pause is the delay of every request. It ensures that all concurrent requests arrive before the first is answered, so
// that they count as one round.
const pause = 50 * time.Millisecond

// Request is a forwarded request.
type Request struct {
	Method, Path string
	Status       int
	// Asked and Answered are the sizes of the bodies of request and response, as transferred, possibly compressed.
	Asked, Answered int64
	// Round is one more than the highest round of the requests that were answered before this one arrived. It begins at
	// 1.
	Round int
}

// String describes a request on one line.
func (r Request) String() string {
	return fmt.Sprintf("%d %s %s %d", r.Round, r.Method, r.Path, r.Status)
}

// Proxy is a reverse proxy with TLS and HTTP/2.
type Proxy struct {
	server *httptest.Server

	mu          sync.Mutex
	requests    []*Request
	answered    int // the highest round with an answered request
	connections int
	armed       *Fault

	pause time.Duration
}

// Start starts a proxy for the server in a kubeconfig. It is stopped when the test ends.
func Start(tb testing.TB, kubeconfig string) *Proxy {
	tb.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		tb.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(config.CAData)
	p := &Proxy{pause: pause}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := p.arrived(r)
		time.Sleep(p.pause)
		answer, asked := &recorder{ResponseWriter: w}, &countingBody{ReadCloser: r.Body}
		r.Body = asked
		p.fault(r).serve(forward, answer, r)
		p.left(request, answer, asked)
	}))
	p.server.EnableHTTP2 = true
	p.server.Listener = listener{p.server.Listener}
	p.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, c)
	}
	p.server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.connections++
		}
	}
	p.server.StartTLS()
	tb.Cleanup(p.server.Close)
	return p
}

func (p *Proxy) arrived(r *http.Request) *Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	request := &Request{Method: r.Method, Path: r.URL.Path, Round: p.answered + 1}
	p.requests = append(p.requests, request)
	return request
}

func (p *Proxy) left(r *Request, answer *recorder, asked *countingBody) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.Status, p.answered = answer.status, max(p.answered, r.Round)
	r.Asked, r.Answered = asked.bytes.Load(), answer.bytes
}

// Take returns the requests and the number of connections since the last Take, and resets them.
func (p *Proxy) Take() (requests []Request, connections int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.requests {
		requests = append(requests, *r)
	}
	connections = p.connections
	p.requests, p.connections, p.answered = nil, 0, 0
	return requests, connections
}

// Kubeconfig writes a copy of a kubeconfig that uses the proxy, and returns its path.
func (p *Proxy) Kubeconfig(tb testing.TB, kubeconfig string) string {
	tb.Helper()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		tb.Fatal(err)
	}
	for _, c := range config.Clusters {
		c.Server, c.CertificateAuthorityData, c.InsecureSkipTLSVerify = p.server.URL, nil, true
	}
	path := filepath.Join(tb.TempDir(), "kubeconfig")
	data, err := clientcmd.Write(*config)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// Lines describes requests, one per line.
func Lines(requests []Request) string {
	var out []string
	for _, r := range requests {
		out = append(out, r.String())
	}
	return strings.Join(out, "\n")
}

// recorder is a ResponseWriter that records the status and the size of the response.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader records the status.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes.
func (r *recorder) Write(b []byte) (int, error) {
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// countingBody counts the bytes read from a request's body, possibly after the response.
type countingBody struct {
	io.ReadCloser
	bytes atomic.Int64
}

// Read counts the bytes.
func (c *countingBody) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}
