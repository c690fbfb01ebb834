// SPDX-License-Identifier: Apache-2.0

// Package clientgo sends requests of the Kubernetes API with the HTTP client of client-go, for daemons. Credentials and
// their renewal, TLS, proxies and the rate limit are those of client-go. Responses have the same classes as with
// pkg/kube, and the same requests are repeated after a response.
//
// It does not use rest.RESTClient, which repeats writes that may have been executed and drops the body of an error
// page: see docs/decisions/0052-crdstore-transport.md.
package clientgo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	"calico-cni/internal/deadline"
	"calico-cni/internal/netfault"
	"calico-cni/pkg/kubeapi"
)

const (
	// requestTimeout bounds one request with its repetitions, without the wait for the rate limit.
	requestTimeout = 15 * time.Second
	// maxRetries limits the repetitions of a request, as in other clients of the API.
	maxRetries = 10
)

// Transport implements kubeapi.Transport.
type Transport struct {
	http    *http.Client
	server  *url.URL
	limiter flowcontrol.RateLimiter
}

// New returns a transport to the API server of a configuration of client-go. The rate limit is that of the
// configuration, or else the default of client-go.
func New(config *rest.Config) (*Transport, error) {
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("read the URL of the API server: %w", err)
	}
	shared, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("create a client of %s: %w", server.Redacted(), err)
	}
	client := *shared
	// The credentials are only for the API server. A redirect is a response of another server.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Transport{http: &client, server: server, limiter: limiter(config)}, nil
}

// limiter returns the rate limiter that client-go would use with a configuration.
func limiter(config *rest.Config) flowcontrol.RateLimiter {
	qps, burst := config.QPS, config.Burst
	if qps == 0 {
		qps = rest.DefaultQPS
	}
	if burst == 0 {
		burst = rest.DefaultBurst
	}
	switch {
	case config.RateLimiter != nil:
		return config.RateLimiter
	case qps < 0:
		return flowcontrol.NewFakeAlwaysRateLimiter()
	}
	return flowcontrol.NewTokenBucketRateLimiter(qps, burst)
}

// Host returns the URL of the API server for messages. A password in it is replaced by "xxxxx".
func (t *Transport) Host() string { return t.server.Redacted() }

// Do implements kubeapi.Transport.
func (t *Transport) Do(ctx context.Context, r kubeapi.Request) ([]byte, error) {
	if err := t.limiter.Wait(ctx); err != nil {
		return nil, t.explain(ctx, r, err)
	}
	ctx, cancel := deadline.Within(ctx, requestTimeout, "the request")
	defer cancel()
	for try := 0; ; try++ {
		body, err := t.once(ctx, r)
		if err == nil {
			return body, nil
		}
		var refusal *kubeapi.ResponseError
		if !errors.As(err, &refusal) || !refusal.Repeatable(r.Method) || try == maxRetries ||
			!sleep(ctx, refusal.RetryAfter) || t.limiter.Wait(ctx) != nil {
			return nil, t.explain(ctx, r, err)
		}
	}
}

func (t *Transport) once(ctx context.Context, r kubeapi.Request) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, r.Method, t.url(r), bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	if r.Method != http.MethodGet {
		// net/http may otherwise repeat a write that the server has executed.
		request.GetBody = nil
	}
	request.Header.Set("Accept", kubeapi.JSON)
	if r.Accept != "" {
		request.Header.Set("Accept", r.Accept)
	}
	if r.Content != "" {
		request.Header.Set("Content-Type", r.Content)
	}
	response, err := t.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	return kubeapi.Receive(response, r.Of)
}

// url returns the URL with the timeout of the request, so that the server does not work for longer.
func (t *Transport) url(r kubeapi.Request) string {
	u := *t.server
	u.Path, u.RawPath = path.Join("/", t.server.Path, r.Path), ""
	query := url.Values{"timeout": {requestTimeout.String()}}
	for key, values := range r.Query {
		query[key] = values
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// explain adds the name of the request and the class to an error.
func (t *Transport) explain(ctx context.Context, r kubeapi.Request, err error) error {
	var refusal *kubeapi.ResponseError
	switch {
	case errors.As(err, &refusal):
		return fmt.Errorf("%s: %w: %w", r.Action, refusal.Class, refusal)
	case errors.Is(err, kubeapi.ErrMalformed):
		return fmt.Errorf("%s: %w", r.Action, err)
	case ctx.Err() != nil:
		err = fmt.Errorf("no answer in time: %w", deadline.Cause(ctx))
	default:
		err = netfault.Plain(err)
	}
	return fmt.Errorf("%s: %w: %w; check whether the API server at %s answers", r.Action, kubeapi.ErrUnavailable, err,
		t.Host())
}

// sleep reports whether the time has passed before the end of the context.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
