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

	"calico-cni/internal/deadline"
)

// maxAnswer limits the size of a response, in bytes. The largest list of a cluster with 5,000 nodes has a few
// megabytes.
const maxAnswer = 64 << 20

// Media types of requests and responses.
const (
	typeJSON       = "application/json"
	typeMergePatch = "application/merge-patch+json"
	typeJSONPatch  = "application/json-patch+json"
)

// request is one request of the API, with its retries.
type request struct {
	// what names the request in errors, for example "get ippools default".
	what, method, path string
	query              url.Values
	// of identifies the object of the request.
	of subject
	// accept is the media type of the response, JSON if it is empty; content is that of the body.
	accept, content string
	body            []byte
}

// do makes the request and decodes the response into out, unless out is nil. The time limit of the request starts when
// it may be sent: the waits for the rate limit and for earlier requests do not count.
func (c *Client) do(ctx context.Context, r request, out any) error {
	if err := c.throttle(ctx); err != nil {
		return c.explain(ctx, r, err)
	}
	leave, err := c.transport.queue.enter(ctx)
	if err != nil {
		return c.explain(ctx, r, err)
	}
	defer leave()
	ctx, cancel := deadline.Within(ctx, requestTimeout, "the request")
	defer cancel()
	body, err := c.doWithRetry(ctx, r)
	if err != nil {
		return c.explain(ctx, r, err)
	}
	if out == nil {
		return nil
	}
	if err := decode(body, out); err != nil {
		return fmt.Errorf("%s: %w", r.what, undecodable(body, err))
	}
	return nil
}

// throttle waits for the rate limit. It returns errRateLimited immediately if the wait would exceed the deadline of
// ctx.
func (c *Client) throttle(ctx context.Context) error {
	if c.limiter == nil {
		return nil
	}
	err := c.limiter.Wait(ctx)
	if err != nil && ctx.Err() == nil {
		return errRateLimited
	}
	return err
}

// doWithRetry makes the request and repeats it as long as that is safe and may help.
func (c *Client) doWithRetry(ctx context.Context, r request) ([]byte, error) {
	refused := false
	for try := 0; ; try++ {
		body, used, err := c.once(ctx, r)
		if err == nil {
			return body, nil
		}
		wait, again := repeat(r.method, err, try)
		if unauthorized(err) && used != nil && !refused {
			c.identity.plugin.refuse(used)
			c.http.CloseIdleConnections() // the next connection uses the new certificate
			refused, again = true, true
		}
		if !again || try == maxRetries || sleep(ctx, wait) != nil || c.throttle(ctx) != nil {
			return nil, err
		}
	}
}

// once makes the request and returns the body of a successful response. The error is an *answerError for an
// unsuccessful response, or says why there is no response. used is the plugin credential of the request.
func (c *Client) once(ctx context.Context, r request) (body []byte, used *credential, err error) {
	request, err := http.NewRequestWithContext(ctx, r.method, c.url(r), bytes.NewReader(r.body))
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("User-Agent", c.userAgent)
	request.Header.Set("Accept", typeJSON)
	if r.accept != "" {
		request.Header.Set("Accept", r.accept)
	}
	if r.content != "" {
		request.Header.Set("Content-Type", r.content)
	}
	if used, err = c.identity.authorize(ctx, request); err != nil {
		return nil, nil, err
	}
	answer, err := c.http.Do(request)
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
func (c *Client) url(r request) string {
	u := *c.server
	u.Path, u.RawPath = path.Join("/", c.server.Path, r.path), ""
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
