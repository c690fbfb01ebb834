// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"calico-cni/pkg/install/apiclient"
	"calico-cni/pkg/install/credentials"
)

// explain adds the cause and a remedy to an error of a request for a token.
func (i Issuer) explain(ctx context.Context, err error, namespace, server string) error {
	what := fmt.Sprintf("request token of service account %s/%s", namespace, i.Config.ServiceAccount)
	switch {
	case apiclient.IsRefusal(err):
		return fmt.Errorf("%s: %w: the API server at %s does not accept %s; %s",
			what, credentials.ErrRefused, server, i.own(), i.own().Remedy())
	case apierrors.IsForbidden(err) && apiclient.FromAPIServer(err):
		return fmt.Errorf("%s: %w: the API server at %s does not permit this to %s; "+
			"allow it to create serviceaccounts/token, as the ClusterRole calico-cni-install does",
			what, ErrForbidden, server, i.own())
	case apierrors.IsNotFound(err) && apiclient.FromAPIServer(err):
		return fmt.Errorf("%s: %w; create the service account, or set --service-account and --namespace", what, err)
	}
	return fmt.Errorf("%s: %w", what, apiclient.Unanswered(ctx, err, server))
}
