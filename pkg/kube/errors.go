// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"calico-cni/internal/deadline"
	"calico-cni/internal/netfault"
)

// Errors of the API that the plugins distinguish. Match them with errors.Is. Each unsuccessful response has exactly one
// of them: see classify.
var (
	// ErrKubeconfig: the credentials cannot be read or are invalid.
	ErrKubeconfig = errors.New("unusable kubeconfig")
	// ErrNotFound: the API server reports that the object does not exist. No other response has this error, whatever
	// its status code.
	ErrNotFound = errors.New("not found")
	// ErrExists: an object with that name already exists.
	ErrExists = errors.New("already exists")
	// ErrConflict: the object has changed since it was read, or a precondition of a deletion is not met.
	ErrConflict = errors.New("changed meanwhile")
	// ErrUnauthorized: the server rejects the credentials.
	ErrUnauthorized = errors.New("credentials refused")
	// ErrForbidden: the API server accepts the credentials, but they lack a permission.
	ErrForbidden = errors.New("not permitted")
	// ErrInvalid: the API server rejects the object.
	ErrInvalid = errors.New("object refused")
	// ErrRefused: the API server rejects the request regardless of its object, for example its method or media type. A
	// retry does not help.
	ErrRefused = errors.New("request refused")
	// ErrUnavailable: the server cannot be reached or cannot respond now. A retry may help.
	ErrUnavailable = errors.New("API server unavailable")
	// ErrNotServed: the response is not from the requested API. Another server responded, such as a load balancer or a
	// login page, or the API server does not serve the resource, for example because its CustomResourceDefinition is
	// missing. The response says nothing about the object. A retry may help.
	ErrNotServed = errors.New("API not served")
	// ErrMalformed: the response of the API server cannot be decoded.
	ErrMalformed = errors.New("malformed answer")
)

// explain adds a sentinel error, the name of the request and a remedy to the error of a request.
func (c *Client) explain(ctx context.Context, r request, err error) error {
	var answer *answerError
	var proxy *proxyError
	switch {
	case errors.As(err, &answer):
		return c.refused(r, answer)
	case errors.Is(err, ErrMalformed):
		return fmt.Errorf("%s: %w", r.what, err)
	case errors.Is(err, errRedirect):
		return fmt.Errorf("%s: %w: %w%s", r.what, ErrNotServed, errRedirect, c.anotherServer())
	case errors.Is(err, errRateLimited):
		return fmt.Errorf("%s: %w: %w%s; raise both", r.what, ErrUnavailable, errRateLimited, c.limit)
	case errors.As(err, &proxy):
		return fmt.Errorf("%s: %w: %w", r.what, ErrUnavailable, proxy)
	case errors.Is(err, errRun):
		return fmt.Errorf("%s: %w", r.what, &runError{err})
	case ctx.Err() != nil:
		return c.unavailable(r.what, fmt.Errorf("no answer in time: %w", deadline.Cause(ctx)))
	}
	if failure := c.tlsFailure(err); failure != nil {
		return fmt.Errorf("%s: %w: %w", r.what, ErrUnavailable, failure)
	}
	return c.unavailable(r.what, plain(err))
}

// refused describes an unsuccessful response.
func (c *Client) refused(r request, answer *answerError) error {
	fail := func(remedy string) error {
		return fmt.Errorf("%s: %w: %w%s", r.what, answer.class, answer, remedy)
	}
	switch {
	case errors.Is(answer.class, ErrUnauthorized):
		reason, remedy := c.refusal()
		return fmt.Errorf("%s: %w: the API server does not accept %s: %s; %s%s",
			r.what, ErrUnauthorized, c.source, reason, remedy, c.wrongPath())
	case errors.Is(answer.class, ErrForbidden):
		return fail("; no ClusterRole grants this right to the user of " + c.source + c.wrongPath())
	case errors.Is(answer.class, ErrConflict) && answer.another:
		return fmt.Errorf("%s: %w: it is another object of that name: %w", r.what, ErrConflict, answer)
	case errors.Is(answer.class, ErrRefused):
		return fail("; see whether this version of the API server is supported, " +
			"and whether a proxy changes requests on their way to " + c.Host())
	case errors.Is(answer.class, ErrNotServed):
		return fail(c.notServed(r.of, answer))
	case errors.Is(answer.class, ErrUnavailable):
		return c.unavailable(r.what, answer)
	}
	return fail("")
}

// wrongPath names another possible cause of a refusal: the path in the URL of the server.
func (c *Client) wrongPath() string {
	if strings.Trim(c.server.Path, "/") == "" {
		return ""
	}
	return fmt.Sprintf("; or the path %s in the server of %s is wrong", c.server.Path, c.source)
}

// notServed returns the remedy for a response that is not from the API.
func (c *Client) notServed(of subject, answer *answerError) string {
	if !answer.unserved {
		return c.anotherServer()
	}
	if of.group == "" {
		return fmt.Sprintf("; see whether %s is a Kubernetes API server", c.Host())
	}
	return fmt.Sprintf("; apply the CustomResourceDefinition of %s, or wait until it is established; "+
		"if it is, see whether %s is the API server of this cluster", of.resource, c.Host())
}

func (c *Client) anotherServer() string {
	if c.server.Scheme == "http" {
		return fmt.Sprintf("; %s is asked over http: write the server of %s with https:// if it has TLS", c.Host(),
			c.source)
	}
	return fmt.Sprintf("; see whether a load balancer, a proxy or a login page answers at %s in place of the "+
		"API server",
		c.Host())
}

func (c *Client) unavailable(what string, err error) error {
	return fmt.Errorf("%s: %w: %w; see whether the API server at %s answers from this node%s",
		what, ErrUnavailable, err, c.Host(), c.limit)
}

// plain returns a transport error without the request's URL, which the message already contains, and without Go terms.
func plain(err error) error {
	text := err.Error()
	switch {
	case notProcessed(err):
		return errNotProcessed
	case strings.Contains(text, connectionLost), strings.Contains(text, goAwayClosed):
		return errConnectionLost
	case strings.Contains(text, notEstablished):
		return errConnectionClosed
	case strings.Contains(text, streamError):
		return errAborted
	}
	return netfault.Plain(err)
}
