// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"
)

// subject identifies the object of a request as a Status of the API does: by API group, plural name of the resource,
// and name. Name is empty for a list and a creation.
type subject struct{ group, resource, name string }

// answerError is an unsuccessful response.
type answerError struct {
	code int
	// class is the sentinel error.
	class error
	// message is the message of the server.
	message string
	// another says that the object has a UID other than that of the request.
	another bool
	// unserved says that the API server itself may have responded, but does not serve the resource.
	unserved bool
	// retry says that the server asks the client to retry after retryAfter.
	retry      bool
	retryAfter time.Duration
}

func (e *answerError) Error() string { return e.message }

// inspect returns nil for a successful response of the API, else an *answerError.
func inspect(answer *http.Response, body []byte, of subject) *answerError {
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	s := statusOf(body)
	class := classify(answer.StatusCode, kind, body, s, of)
	if class == nil {
		return nil
	}
	e := &answerError{code: answer.StatusCode, class: class, message: "the answer is " + answer.Status}
	e.retryAfter, e.retry = later(answer)
	switch {
	case s != nil:
		if s.Message != "" {
			e.message = s.Message
		}
		e.another, e.unserved = s.otherUID(), true
	case kind == "text/html":
		e.message += " with an HTML page"
	case kind == "text/plain" && len(body) > 0:
		e.message += fmt.Sprintf(": %q", strings.TrimSpace(string(body[:min(len(body), maxQuote)])))
		e.unserved = answer.StatusCode == http.StatusNotFound
	case answer.StatusCode < 300:
		e.message += " without an object of the API"
	}
	return e
}

// maxQuote limits what is quoted of a response, in bytes.
const maxQuote = 200

// classify returns the sentinel error of a response, nil for a success. kind is its media type, s its Status or nil.
//
// Only a Status is about the request itself. Any other response is from a server in between. The exceptions are
// overload and failure, which every server reports in the same way, and 401: a proxy that authenticates for the API
// server sends no Status.
func classify(code int, kind string, body []byte, s *status, of subject) error {
	switch {
	case code >= 200 && code < 300:
		if of != version && !isObject(body) {
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

// version is the subject of a request for the server's version, the only response that is not an object.
var version = subject{resource: "version"}

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
