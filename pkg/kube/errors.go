package kube

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// explain gives an error of the client a sentinel, the request it came from and, where there is one, the cure.
func (c *Client) explain(ctx context.Context, what string, err error) error {
	var untrusted *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w: no answer from %s in time: %w%s", what, ErrUnavailable, c.Host(), context.Cause(ctx), c.limit)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s: %w: %w", what, ErrNotFound, err)
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("%s: %w: %w", what, ErrExists, err)
	case isAnother(err):
		return fmt.Errorf("%s: %w: it is another object of that name: %w", what, ErrConflict, err)
	case apierrors.IsConflict(err):
		return fmt.Errorf("%s: %w: %w", what, ErrConflict, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: %w: the API server does not accept %s: its token has expired, or its service account was created anew; "+
			"the watching install container renews it within a minute; see that it runs on this node, or restart the init container", what, ErrUnauthorized, c.source)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: %w: %w; the ClusterRole of the plugin's service account lacks this right", what, ErrForbidden, err)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return fmt.Errorf("%s: %w: %w", what, ErrInvalid, err)
	case errors.As(err, &untrusted):
		return fmt.Errorf("%s: %w: %w; the CA certificate in %s is not that of the API server at %s: "+
			"the watching install container renews it within a minute; see that it runs on this node, or restart the init container", what, ErrUnavailable, err, c.source, c.Host())
	default:
		return fmt.Errorf("%s: %w: %w; see whether the API server at %s answers from this node%s", what, ErrUnavailable, err, c.Host(), c.limit)
	}
}

// isAnother says that a patch named another UID than the object's. The server does not call that a conflict, but the
// change of a field that cannot change.
func isAnother(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(status.Status().Details.Causes, func(c metav1.StatusCause) bool { return c.Field == "metadata.uid" })
}
