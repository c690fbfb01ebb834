// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/internal/deadline"
	"calico-cni/internal/netfault"
	"calico-cni/pkg/install/credentials"
)

// explain adds the cause and a remedy to an error of a request for a token.
func (i Issuer) explain(ctx context.Context, err error, namespace, server string) error {
	what := fmt.Sprintf("request token of service account %s/%s", namespace, i.Config.ServiceAccount)
	switch {
	case isRefusal(err):
		return fmt.Errorf("%s: %w: the API server at %s does not accept %s; %s",
			what, credentials.ErrRefused, server, i.source(), i.remedy())
	case apierrors.IsForbidden(err) && fromAPIServer(err):
		return fmt.Errorf("%s: %w: the API server at %s does not permit this to %s; "+
			"allow it to create serviceaccounts/token, as the ClusterRole calico-cni-install does",
			what, ErrForbidden, server, i.source())
	case apierrors.IsNotFound(err) && fromAPIServer(err):
		return fmt.Errorf("%s: %w; create the service account, or set --service-account and --namespace", what, err)
	}
	return fmt.Errorf("%s: %w", what, unanswered(ctx, err, server))
}

// unanswered explains an error after which it is unknown whether the credentials are valid.
func unanswered(ctx context.Context, err error, server string) error {
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("no answer in time: %w", deadline.Cause(ctx))
	case isStatus(err) && !fromAPIServer(err):
		return errAnotherServer(server)
	case isStatus(err):
		return fmt.Errorf("the API server answers: %w", err)
	default:
		err = netfault.Plain(err)
	}
	return fmt.Errorf("API server unavailable: %w; check whether the API server at %s answers from this node", err, server)
}

func errAnotherServer(server string) error {
	return fmt.Errorf("API not served; "+
		"check whether a load balancer, a proxy or a login page answers at %s in place of the API server", server)
}

// isRefusal reports whether the server rejects the credentials. A proxy in front of the API server may do so in plain
// text, but an HTML page comes from another server.
func isRefusal(err error) bool {
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

// fromAPIServer reports whether an error is a Status of the API server. client-go also makes one of any other answer.
func fromAPIServer(err error) bool {
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

// source names the installer's own credentials.
func (i Issuer) source() string {
	if i.Config.Kubeconfig != "" {
		return "the installer's kubeconfig " + i.Config.Kubeconfig
	}
	return "the token of the pod's service account in " + i.Config.ServiceAccountDir
}

func (i Issuer) remedy() string {
	if i.Config.Kubeconfig != "" {
		return "replace its credentials"
	}
	return "delete the pod, so that it gets a new token"
}
