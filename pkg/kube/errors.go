package kube

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Errors of the API as the plugins tell them apart; match them with errors.Is.
var (
	// ErrKubeconfig: the credentials cannot be read or make no sense.
	ErrKubeconfig = errors.New("unusable kubeconfig")
	// ErrNotFound: the object does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists: an object of that name exists already.
	ErrExists = errors.New("already exists")
	// ErrConflict: the object was changed since it was read, or a precondition of a deletion does not hold.
	ErrConflict = errors.New("changed meanwhile")
	// ErrUnauthorized: the server does not know who asks.
	ErrUnauthorized = errors.New("credentials refused")
	// ErrForbidden: the server knows who asks, and refuses.
	ErrForbidden = errors.New("not permitted")
	// ErrInvalid: the server refuses the object itself.
	ErrInvalid = errors.New("object refused")
	// ErrUnavailable: the server cannot be reached, or cannot answer now. A retry may cure it.
	ErrUnavailable = errors.New("API server unavailable")
	// ErrMalformed: the server's answer is not what the API promises.
	ErrMalformed = errors.New("malformed answer")
)

// answerError is an answer other than a good one.
type answerError struct {
	code int
	// message is the server's.
	message string
	// exists and another tell apart what has the same code: a name that is taken, and another UID than the object's.
	exists, another bool
	// retry says that the server asks to come back after retryAfter.
	retry      bool
	retryAfter time.Duration
}

func (e *answerError) Error() string { return e.message }

// refusal reads an answer that is not a good one: a Status of the API, or whatever a proxy has to say.
func refusal(answer *http.Response, body []byte) *answerError {
	e := &answerError{code: answer.StatusCode, message: "the answer is " + answer.Status}
	e.retryAfter, e.retry = later(answer)
	var status struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
		Reason  string `json:"reason"`
		Details struct {
			Causes []statusCause `json:"causes"`
		} `json:"details"`
	}
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" {
		if status.Message != "" {
			e.message = status.Message
		}
		e.exists = status.Reason == "AlreadyExists"
		// The server does not call that a conflict, but the change of a field that cannot change.
		e.another = slices.ContainsFunc(status.Details.Causes, func(c statusCause) bool { return c.Field == "metadata.uid" })
		return e
	}
	if kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); kind == "text/plain" && len(body) > 0 {
		e.message += fmt.Sprintf(": %q", strings.TrimSpace(string(body[:min(len(body), maxQuote)])))
	}
	return e
}

// statusCause is one of the reasons that a Status has.
type statusCause struct {
	Field string `json:"field"`
}

// maxQuote bounds what is quoted of an answer, in bytes.
const maxQuote = 200

// explain gives an error of a request a sentinel, the request's name and, where there is one, the cure.
func (c *Client) explain(ctx context.Context, what string, err error) error {
	var answer *answerError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &answer):
		return c.refused(what, answer)
	case errors.Is(err, ErrMalformed):
		return fmt.Errorf("%s: %w", what, err)
	case errors.Is(err, errRun):
		return fmt.Errorf("%s: %w: %w; see what it prints when it is run on this node", what, ErrUnavailable, err)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w: no answer from %s in time: %w%s", what, ErrUnavailable, c.Host(), context.Cause(ctx), c.limit)
	case errors.As(err, &untrusted):
		return fmt.Errorf("%s: %w: %w; the CA certificate in %s is not that of the API server at %s: "+
			"the watching install container renews it within a minute; see that it runs on this node, or restart the init container", what, ErrUnavailable, err, c.source, c.Host())
	default:
		return c.unavailable(what, err)
	}
}

// refused is what an answer means that is not a good one.
func (c *Client) refused(what string, answer *answerError) error {
	switch answer.code {
	case http.StatusNotFound:
		return fmt.Errorf("%s: %w: %w", what, ErrNotFound, answer)
	case http.StatusUnauthorized:
		return fmt.Errorf("%s: %w: the API server does not accept %s: its token has expired, or its service account was created anew; "+
			"the watching install container renews it within a minute; see that it runs on this node, or restart the init container", what, ErrUnauthorized, c.source)
	case http.StatusForbidden:
		return fmt.Errorf("%s: %w: %w; the ClusterRole of the plugin's service account lacks this right", what, ErrForbidden, answer)
	}
	switch code := answer.code; {
	case answer.another:
		return fmt.Errorf("%s: %w: it is another object of that name: %w", what, ErrConflict, answer)
	case code == http.StatusConflict && answer.exists:
		return fmt.Errorf("%s: %w: %w", what, ErrExists, answer)
	case code == http.StatusConflict:
		return fmt.Errorf("%s: %w: %w", what, ErrConflict, answer)
	case code == http.StatusBadRequest, code == http.StatusUnprocessableEntity, code == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%s: %w: %w", what, ErrInvalid, answer)
	default:
		return c.unavailable(what, answer)
	}
}

func (c *Client) unavailable(what string, err error) error {
	return fmt.Errorf("%s: %w: %w; see whether the API server at %s answers from this node%s", what, ErrUnavailable, err, c.Host(), c.limit)
}
