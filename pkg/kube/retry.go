package kube

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"calico-cni/internal/deadline"
)

const (
	// maxRetries bounds how often a request is repeated, as other clients of the API do.
	maxRetries = 10
	// retryPause is the pause before a request is repeated on a new connection; the first time there is none.
	retryPause = time.Second
)

// repeat reports whether a failed request may be made again, and after what time. A write is repeated only when it was
// certainly not executed: otherwise the second one would meet the effects of the first. A read is repeated also when its
// answer was lost, or when a server that fails asks to come back.
//
// A connection that is refused is not retried: in an outage a DEL queues its release at once, and the runtime repeats an
// ADD.
func repeat(method string, err error, try int) (wait time.Duration, again bool) {
	var answer *answerError
	if errors.As(err, &answer) {
		return answer.retryAfter, answer.retry && (method == http.MethodGet || answer.code == http.StatusTooManyRequests)
	}
	if try > 0 {
		wait = retryPause
	}
	return wait, notProcessed(err) || method == http.MethodGet && lost(err)
}

// unauthorized reports whether the server did not accept the credentials.
func unauthorized(err error) bool {
	var answer *answerError
	return errors.As(err, &answer) && answer.code == http.StatusUnauthorized
}

// Texts of errors of net/http that have neither a type nor a variable. Tests with real frames hold them to net/http.
const (
	connectionLost = "http2: client connection lost"
	refusedStream  = "REFUSED_STREAM"
	goAway         = "http2: Transport received Server's graceful shutdown GOAWAY"
	goAwayClosed   = "http2: server sent GOAWAY and closed the connection"
	notEstablished = "http2: client conn could not be established"
	streamError    = "stream error: "
)

// What they mean.
var (
	errConnectionLost   = errors.New("the connection was lost: the server stopped answering on it")
	errConnectionClosed = errors.New("the connection was closed before the answer was complete")
	errNotProcessed     = errors.New("the server is shutting down, or takes no more requests on this connection")
	errNoTurn           = errors.New("the limit of requests lets this one wait longer than the command may take")
	errAborted          = errors.New("the server, or a proxy before it, aborted the request")
)

// notProcessed reports whether a server has said over HTTP/2 that it did not process a request: by REFUSED_STREAM, or by
// GOAWAY with the number of an earlier stream (RFC 9113, sections 6.8 and 8.7).
func notProcessed(err error) bool {
	text := err.Error()
	return strings.Contains(text, refusedStream) || strings.Contains(text, goAway)
}

// lost reports whether a connection ended before the answer was complete. The request may have been executed.
func lost(err error) bool {
	text := err.Error()
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.Contains(text, connectionLost) || strings.Contains(text, goAwayClosed)
}

// later returns when the server asks to come back, if it does.
func later(answer *http.Response) (time.Duration, bool) {
	if answer.StatusCode != http.StatusTooManyRequests && answer.StatusCode < 500 {
		return 0, false
	}
	seconds, err := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 31)
	return time.Duration(seconds) * time.Second, err == nil
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
