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

// maxAnswer bounds an answer, in bytes: the largest list of a cluster of 5,000 nodes has some megabytes.
const maxAnswer = 64 << 20

// Types of what is sent and accepted.
const (
	typeJSON       = "application/json"
	typeMergePatch = "application/merge-patch+json"
	typeJSONPatch  = "application/json-patch+json"
)

// request is one request of the API, as often as it has to be made.
type request struct {
	// what names it in errors: "get ippools default".
	what, method, path string
	query              url.Values
	// of names the object that the request is about.
	of subject
	// accept is the type of the answer, JSON when it is empty; content the body's type.
	accept, content string
	body            []byte
}

// do makes the request and decodes the answer into out, unless out is nil. The time of the request starts once it may
// be sent: neither the limit of the configuration nor the requests before it count.
func (c *Client) do(ctx context.Context, r request, out any) error {
	if err := c.throttle(ctx); err != nil {
		return c.explain(ctx, r, err)
	}
	leave, err := c.transport.lanes.enter(ctx)
	if err != nil {
		return c.explain(ctx, r, err)
	}
	defer leave()
	ctx, cancel := deadline.Within(ctx, requestTimeout, "the request")
	defer cancel()
	body, err := c.persist(ctx, r)
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

// throttle waits for the client's turn. It returns errNoTurn at once when the turn comes after the end of ctx.
func (c *Client) throttle(ctx context.Context) error {
	if c.limiter == nil {
		return nil
	}
	err := c.limiter.Wait(ctx)
	if err != nil && ctx.Err() == nil {
		return errNoTurn
	}
	return err
}

// persist makes the request, and repeats it as long as that is safe and may help.
func (c *Client) persist(ctx context.Context, r request) ([]byte, error) {
	refused := false
	for try := 0; ; try++ {
		body, used, err := c.once(ctx, r)
		if err == nil {
			return body, nil
		}
		wait, again := repeat(r.method, err, try)
		if unauthorized(err) && used != nil && !refused {
			c.identity.plugin.refuse(used)
			c.http.CloseIdleConnections() // the next connection presents the new certificate
			refused, again = true, true
		}
		if !again || try == maxRetries || sleep(ctx, wait) != nil || c.throttle(ctx) != nil {
			return nil, err
		}
	}
}

// once makes the request, and returns the body of a good answer, else an *answerError, or why there is no answer. used is
// what a credential plugin printed for it.
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

// url has the time that the client waits, for the server to wait no longer.
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

// read reads an answer's body.
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
