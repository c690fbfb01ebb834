// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"path"
	"time"

	"golang.org/x/time/rate"

	"calico-cni/pkg/kubeapi"
)

// requestTimeout bounds one request with its retries, from the time when it may be sent. The caller's context bounds
// the command.
const requestTimeout = 15 * time.Second

// sender sends requests to one API server and repeats them. Its errors are for explainer.
type sender struct {
	http      *http.Client
	transport *transport
	// server is the URL to which the paths of requests are appended.
	server    *url.URL
	identity  *identity
	userAgent string
	// limiter limits the rate of requests; nil means no limit.
	limiter *rate.Limiter
}

// enter waits until a request may be sent. The caller calls leave when the request has ended.
func (s *sender) enter(ctx context.Context) (leave func(), err error) {
	if err := s.throttle(ctx); err != nil {
		return nil, err
	}
	return s.transport.queue.enter(ctx)
}

// throttle waits for the rate limit. It returns errRateLimited immediately if the wait would exceed the deadline of
// ctx.
func (s *sender) throttle(ctx context.Context) error {
	if s.limiter == nil {
		return nil
	}
	err := s.limiter.Wait(ctx)
	if err != nil && ctx.Err() == nil {
		return errRateLimited
	}
	return err
}

// send makes the request and repeats it as long as that is safe and may help.
func (s *sender) send(ctx context.Context, r kubeapi.Request) ([]byte, error) {
	refused := false
	for try := 0; ; try++ {
		body, used, err := s.once(ctx, r)
		if err == nil {
			return body, nil
		}
		wait, again := repeat(r.Method, err, try)
		if unauthorized(err) && used != nil && !refused {
			s.identity.plugin.refuse(used)
			s.http.CloseIdleConnections() // the next connection uses the new certificate
			refused, again = true, true
		}
		if !again || try == maxRetries || sleep(ctx, wait) != nil || s.throttle(ctx) != nil {
			return nil, err
		}
	}
}

// once makes the request and returns the body of a successful response. The error is a *kubeapi.ResponseError
// for an unsuccessful response, or says why there is no response. used is the plugin credential of the request.
func (s *sender) once(ctx context.Context, r kubeapi.Request) (body []byte, used *credential, err error) {
	request, err := http.NewRequestWithContext(ctx, r.Method, s.url(r), bytes.NewReader(r.Body))
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("User-Agent", s.userAgent)
	request.Header.Set("Accept", kubeapi.JSON)
	if r.Accept != "" {
		request.Header.Set("Accept", r.Accept)
	}
	if r.Content != "" {
		request.Header.Set("Content-Type", r.Content)
	}
	if used, err = s.identity.authorize(ctx, request); err != nil {
		return nil, nil, err
	}
	answer, err := s.http.Do(request)
	if err != nil {
		return nil, used, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err = kubeapi.Receive(answer, r.Of)
	return body, used, err
}

// url returns the URL with the client's timeout, so that the server does not work for longer.
func (s *sender) url(r kubeapi.Request) string {
	u := *s.server
	u.Path, u.RawPath = path.Join("/", s.server.Path, r.Path), ""
	query := url.Values{"timeout": {requestTimeout.String()}}
	for key, values := range r.Query {
		query[key] = values
	}
	u.RawQuery = query.Encode()
	return u.String()
}
