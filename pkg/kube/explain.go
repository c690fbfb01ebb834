// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"calico-cni/internal/deadline"
	"calico-cni/internal/netfault"
	"calico-cni/pkg/kubeapi"
)

// explainer explains why a request failed, with a remedy.
type explainer struct {
	// server is the URL of the API server.
	server     *url.URL
	provenance provenance
	// caFile is the path of the CA certificate, if it has a separate file.
	caFile string
	// systemCAs says that the configuration has no CA, so that the CAs of the node apply.
	systemCAs bool
	// identity has the credentials of the requests; transport has the state of the TLS handshake.
	identity  *identity
	transport *transport
	// limit describes the rate limit in messages; empty means no limit.
	limit string
}

// host returns the URL of the API server for messages. A password in it is replaced by "xxxxx".
func (e *explainer) host() string { return e.server.Redacted() }

// explain adds a sentinel error, the name of the request and a remedy to the error of a request.
func (e *explainer) explain(ctx context.Context, r kubeapi.Request, err error) error {
	var answer *kubeapi.ResponseError
	var proxy *proxyError
	switch {
	case errors.As(err, &answer):
		return e.refused(r, answer)
	case errors.Is(err, kubeapi.ErrMalformed):
		return fmt.Errorf("%s: %w", r.Action, err)
	case errors.Is(err, errRedirect):
		return fmt.Errorf("%s: %w: %w%s", r.Action, kubeapi.ErrNotServed, errRedirect, e.anotherServer())
	case errors.Is(err, errRateLimited):
		return fmt.Errorf("%s: %w: %w%s; raise both", r.Action, kubeapi.ErrUnavailable, errRateLimited, e.limit)
	case errors.As(err, &proxy):
		return fmt.Errorf("%s: %w: %w", r.Action, kubeapi.ErrUnavailable, proxy)
	case errors.Is(err, errRun):
		return fmt.Errorf("%s: %w", r.Action, &runError{err})
	case ctx.Err() != nil:
		return e.unavailable(r.Action, fmt.Errorf("no answer in time: %w", deadline.Cause(ctx)))
	}
	if failure := e.tls().failure(err); failure != nil {
		return fmt.Errorf("%s: %w: %w", r.Action, kubeapi.ErrUnavailable, failure)
	}
	return e.unavailable(r.Action, plain(err))
}

// refused describes an unsuccessful response.
func (e *explainer) refused(r kubeapi.Request, answer *kubeapi.ResponseError) error {
	fail := func(remedy string) error {
		return fmt.Errorf("%s: %w: %w%s", r.Action, answer.Class, answer, remedy)
	}
	switch {
	case errors.Is(answer.Class, kubeapi.ErrUnauthorized):
		reason, remedy := e.refusal()
		return fmt.Errorf("%s: %w: the API server does not accept %s: %s; %s%s",
			r.Action, kubeapi.ErrUnauthorized, e.provenance.source, reason, remedy, e.wrongPath())
	case errors.Is(answer.Class, kubeapi.ErrForbidden):
		return fail(e.notPermitted(answer.Message))
	case errors.Is(answer.Class, kubeapi.ErrInvalid):
		return fail(e.objectRefused(r.Of.Group, answer.Message))
	case errors.Is(answer.Class, kubeapi.ErrConflict) && answer.OtherUID:
		return fmt.Errorf("%s: %w: it is another object of that name: %w", r.Action, kubeapi.ErrConflict, answer)
	case errors.Is(answer.Class, kubeapi.ErrRefused):
		return fail("; check whether this version of the API server is supported, " +
			"and whether a proxy changes requests on their way to " + e.host())
	case errors.Is(answer.Class, kubeapi.ErrNotServed):
		return fail(e.notServed(r.Of, answer))
	case errors.Is(answer.Class, kubeapi.ErrUnavailable):
		return fail(e.failed(answer.Code, answer.Unserved))
	}
	return fail("")
}

// wrongPath names another possible cause of a refusal: the path in the URL of the server.
func (e *explainer) wrongPath() string {
	if strings.Trim(e.server.Path, "/") == "" {
		return ""
	}
	return fmt.Sprintf("; or the path %s in the server of %s is wrong", e.server.Path, e.provenance.source)
}

// notServed returns the remedy for a response that is not from the API.
func (e *explainer) notServed(of kubeapi.Subject, answer *kubeapi.ResponseError) string {
	if !answer.Unserved {
		return e.anotherServer()
	}
	if of.Group == "" {
		return fmt.Sprintf("; check whether %s is a Kubernetes API server", e.host())
	}
	return fmt.Sprintf("; apply the CustomResourceDefinition of %s in %s, or wait until it is established; "+
		"if the cluster has Calico's objects in another API group, set calico_api_group to it; "+
		"else check whether %s is the API server of this cluster", of.Resource, of.Group, e.host())
}

func (e *explainer) anotherServer() string {
	if e.server.Scheme == "http" {
		return fmt.Sprintf("; the requests to %s use http: write the server of %s with https:// if it has TLS",
			e.host(), e.provenance.source)
	}
	return fmt.Sprintf("; check whether a load balancer, a proxy or a login page answers at %s in place of the API server",
		e.host())
}

func (e *explainer) unavailable(what string, err error) error {
	return fmt.Errorf("%s: %w: %w; check whether the API server at %s answers from this node%s",
		what, kubeapi.ErrUnavailable, err, e.host(), e.limit)
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
