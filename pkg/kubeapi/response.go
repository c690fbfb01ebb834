// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ResponseError is an unsuccessful response of a server.
type ResponseError struct {
	Code int
	// Class is the class of the error: one of the variables Err of this package.
	Class error
	// Message is the message of the server.
	Message string
	// OtherUID says that the object has a UID other than that of the request.
	OtherUID bool
	// Unserved says that the API server itself may have responded. With the class ErrNotServed, it then does not serve
	// the resource.
	Unserved bool
	// Retry says that the server asks the client to retry after RetryAfter.
	Retry      bool
	RetryAfter time.Duration
}

func (e *ResponseError) Error() string { return e.Message }

// Repeatable reports whether a request that got this response may be sent again after RetryAfter. The server may have
// executed a write before it failed, but not before it refused the write for overload.
func (e *ResponseError) Repeatable(method string) bool {
	return e.Retry && (method == http.MethodGet || e.Code == http.StatusTooManyRequests)
}

// maxBody limits the size of a response, in bytes. The largest list of a cluster with 5,000 nodes has a few megabytes.
const maxBody = 64 << 20

// Receive returns the body of a successful response of the API. For an unsuccessful response, the error is a
// *ResponseError. Other errors say that the body cannot be read, or wrap ErrMalformed if it is too large.
func Receive(response *http.Response, of Subject) ([]byte, error) {
	body, err := readBody(response)
	if err != nil {
		return nil, err
	}
	if refusal := inspect(response, body, of); refusal != nil {
		return nil, refusal
	}
	return body, nil
}

func readBody(response *http.Response) ([]byte, error) {
	var body bytes.Buffer
	if n := response.ContentLength; n > 0 && n <= maxBody {
		body.Grow(int(n) + bytes.MinRead)
	}
	n, err := body.ReadFrom(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read answer: %w", err)
	case n > maxBody:
		return nil, fmt.Errorf("%w: it has more than %d MiB", ErrMalformed, maxBody>>20)
	}
	return body.Bytes(), nil
}

// inspect returns nil for a successful response of the API.
func inspect(response *http.Response, body []byte, of Subject) *ResponseError {
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	s := statusOf(body)
	class := classify(response.StatusCode, kind, body, s, of)
	if class == nil {
		return nil
	}
	e := &ResponseError{Code: response.StatusCode, Class: class, Message: "the answer is " + response.Status}
	e.RetryAfter, e.Retry = later(response)
	switch {
	case s != nil:
		if s.Message != "" {
			e.Message = s.Message
		}
		e.OtherUID, e.Unserved = s.otherUID(), true
	case kind == "text/html":
		e.Message += " with an HTML page"
	case kind == "text/plain" && len(body) > 0:
		e.Message += fmt.Sprintf(": %q", strings.TrimSpace(string(body[:min(len(body), maxQuote)])))
		e.Unserved = response.StatusCode == http.StatusNotFound
	case response.StatusCode < 300:
		e.Message += " without an object of the API"
	}
	return e
}

// later returns the wait that the server requests with Retry-After, if any.
func later(response *http.Response) (time.Duration, bool) {
	if response.StatusCode != http.StatusTooManyRequests && response.StatusCode < 500 {
		return 0, false
	}
	seconds, err := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 31)
	return time.Duration(seconds) * time.Second, err == nil
}

// maxQuote limits what is quoted of a response, in bytes.
const maxQuote = 200

// classify returns the sentinel error of a response, nil for a success. kind is its media type, s its Status or nil.
//
// Only a Status is about the request itself. Any other response is from a server in between. The exceptions are
// overload and failure, which every server reports in the same way, and 401: a proxy that authenticates for the API
// server sends no Status.
func classify(code int, kind string, body []byte, s *status, of Subject) error {
	switch {
	case code >= 200 && code < 300:
		if of != Version && !isObject(body) {
			return ErrNotServed
		}
		return nil
	case overloaded(code):
		return ErrUnavailable
	case s != nil:
		return s.class(code, of)
	case code == http.StatusUnauthorized && kind != "text/html":
		return ErrUnauthorized
	}
	return ErrNotServed
}

// Version is the subject of a request for the server's version, the only response that is not an object.
var Version = Subject{Resource: "version"}

// overloaded reports whether a status code says that the server, or one behind it, cannot respond now.
func overloaded(code int) bool {
	switch code {
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusNetworkAuthenticationRequired:
		return false
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	}
	return code >= 500
}

// isObject reports whether a body begins like an object of the API: JSON with an apiVersion, which the API server
// writes as the first or second field. It reads only up to that field.
func isObject(body []byte) bool {
	d := json.NewDecoder(bytes.NewReader(body))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return false
		}
		if name == "apiVersion" {
			value, err := d.Token()
			text, isText := value.(string)
			return err == nil && isText && text != ""
		}
		var skipped json.RawMessage
		if d.Decode(&skipped) != nil {
			return false
		}
	}
	return false
}
