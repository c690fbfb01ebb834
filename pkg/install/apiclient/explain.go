// SPDX-License-Identifier: Apache-2.0

package apiclient

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/internal/deadline"
	"calico-cni/internal/netfault"
)

// Unanswered explains an error after which it is unknown whether the credentials are valid.
func Unanswered(ctx context.Context, err error, server string) error {
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("no answer in time: %w", deadline.Cause(ctx))
	case isStatus(err) && !FromAPIServer(err):
		return AnotherServer(server)
	case isStatus(err):
		return fmt.Errorf("the API server answers: %w", err)
	default:
		err = netfault.Plain(err)
	}
	return fmt.Errorf("API server unavailable: %w; check whether the API server at %s answers from this node", err, server)
}

// AnotherServer says that something else than the API server answers at a URL.
func AnotherServer(server string) error {
	return fmt.Errorf("API not served; "+
		"check whether a load balancer, a proxy or a login page answers at %s in place of the API server", server)
}

// IsRefusal reports whether the server rejects the credentials. A proxy in front of the API server may do so in plain
// text, but an HTML page comes from another server.
func IsRefusal(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsUnauthorized(err) {
		return false
	}
	if details := status.Status().Details; details != nil {
		for _, cause := range details.Causes {
			if strings.HasPrefix(strings.TrimSpace(cause.Message), "<") {
				return false
			}
		}
	}
	return true
}

func isStatus(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}

// FromAPIServer reports whether an error is a Status of the API server. client-go also makes one of any other answer.
func FromAPIServer(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	if details == nil {
		return true
	}
	for _, cause := range details.Causes {
		if cause.Type == metav1.CauseTypeUnexpectedServerResponse {
			return false
		}
	}
	return true
}
