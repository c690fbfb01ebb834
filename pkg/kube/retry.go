// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/kubeapi"
)

const (
	// maxRetries limits the retries of a request, as in other clients of the API.
	maxRetries = 10
	// retryPause is the pause before a retry on a new connection. The first retry has none.
	retryPause = time.Second
)

// repeat reports whether a failed request may be retried, and after which time. A write is retried only if it was
// certainly not executed, because otherwise the second write would conflict with the effects of the first. A read is
// also retried if its response was lost, or if a failing server sends Retry-After.
//
// A refused connection is not retried: in an outage a DEL queues its release at once, and the runtime retries an ADD.
func repeat(method string, err error, try int) (wait time.Duration, again bool) {
	var answer *kubeapi.ResponseError
	if errors.As(err, &answer) {
		return answer.RetryAfter, answer.Repeatable(method)
	}
	if try > 0 {
		wait = retryPause
	}
	return wait, notProcessed(err) || method == http.MethodGet && lost(err)
}

// unauthorized reports whether the server rejected the credentials.
func unauthorized(err error) bool {
	var answer *kubeapi.ResponseError
	return errors.As(err, &answer) && answer.Code == http.StatusUnauthorized
}

// Texts of net/http errors that have neither a type nor a variable. Tests with real frames check that they match.
const (
	connectionLost = "http2: client connection lost"
	refusedStream  = "REFUSED_STREAM"
	goAway         = "http2: Transport received Server's graceful shutdown GOAWAY"
	goAwayClosed   = "http2: server sent GOAWAY and closed the connection"
	notEstablished = "http2: client conn could not be established"
	streamError    = "stream error: "
)

// The meaning of these errors.
var (
	errConnectionLost   = errors.New("the connection was lost: the server stopped answering on it")
	errConnectionClosed = errors.New("the connection was closed before the answer was complete")
	errNotProcessed     = errors.New("the server is shutting down, or takes no more requests on this connection")
	errRateLimited      = errors.New("the rate limit would delay this request beyond the deadline of the command")
	errAborted          = errors.New("the server, or a proxy before it, aborted the request")
)

// notProcessed reports whether a server said over HTTP/2 that it did not process a request: with REFUSED_STREAM, or
// with a GOAWAY that names an earlier stream (RFC 9113, sections 6.8 and 8.7).
func notProcessed(err error) bool {
	text := err.Error()
	return strings.Contains(text, refusedStream) || strings.Contains(text, goAway)
}

// lost reports whether a connection ended before the response was complete. The request may have been executed.
func lost(err error) bool {
	text := err.Error()
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.Contains(text, connectionLost) || strings.Contains(text, goAwayClosed)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return deadline.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
