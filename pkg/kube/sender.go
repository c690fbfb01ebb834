// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"time"

	"golang.org/x/time/rate"
)

// maxAnswer limits the size of a response, in bytes. The largest list of a cluster with 5,000 nodes has a few
// megabytes.
const maxAnswer = 64 << 20

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
func (s *sender) send(ctx context.Context, r request) ([]byte, error) {
	refused := false
	for try := 0; ; try++ {
		body, used, err := s.once(ctx, r)
		if err == nil {
			return body, nil
		}
		wait, again := repeat(r.method, err, try)
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

// once makes the request and returns the body of a successful response. The error is an *answerError for an
// unsuccessful response, or says why there is no response. used is the plugin credential of the request.
func (s *sender) once(ctx context.Context, r request) (body []byte, used *credential, err error) {
	request, err := http.NewRequestWithContext(ctx, r.method, s.url(r), bytes.NewReader(r.body))
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("User-Agent", s.userAgent)
	request.Header.Set("Accept", typeJSON)
	if r.accept != "" {
		request.Header.Set("Accept", r.accept)
	}
	if r.content != "" {
		request.Header.Set("Content-Type", r.content)
	}
	if used, err = s.identity.authorize(ctx, request); err != nil {
		return nil, nil, err
	}
	answer, err := s.http.Do(request)
	if err != nil {
		return nil, used, err
	}
	defer func() { _ = answer.Body.Close() }()
	if body, err = read(answer); err != nil {
		return nil, used, err
	}
	if refusal := inspect(answer, body, r.of); refusal != nil {
		return nil, used, refusal
	}
	return body, used, nil
}

// url returns the URL with the client's timeout, so that the server does not work for longer.
func (s *sender) url(r request) string {
	u := *s.server
	u.Path, u.RawPath = path.Join("/", s.server.Path, r.path), ""
	query := url.Values{"timeout": {requestTimeout.String()}}
	for key, values := range r.query {
		query[key] = values
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// read reads the body of a response.
func read(answer *http.Response) ([]byte, error) {
	var body bytes.Buffer
	if n := answer.ContentLength; n > 0 && n <= maxAnswer {
		body.Grow(int(n) + bytes.MinRead)
	}
	n, err := body.ReadFrom(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read answer: %w", err)
	case n > maxAnswer:
		return nil, fmt.Errorf("%w: it has more than %d MiB", ErrMalformed, maxAnswer>>20)
	}
	return body.Bytes(), nil
}
