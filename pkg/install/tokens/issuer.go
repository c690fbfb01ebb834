// SPDX-License-Identifier: Apache-2.0

// Package tokens requests tokens of the plugins' service account, and checks whether the API server accepts them. It
// uses client-go, because no pod waits for it. The plugins use pkg/kube.
package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/install/apiclient"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/credentials"
)

const (
	// lifetime is the requested lifetime of a token, as with Calico.
	lifetime = 24 * time.Hour
	// requestTimeout bounds a request for a token.
	requestTimeout = 15 * time.Second
	// checkTimeout bounds a check of a token.
	checkTimeout = 10 * time.Second
)

// ErrForbidden: the installer's credentials lack a permission.
var ErrForbidden = errors.New("not permitted")

// Issuer requests and checks tokens with the credentials of the installer.
type Issuer struct {
	Config    config.Config
	UserAgent string
	Log       *slog.Logger
}

func (i Issuer) own() apiclient.Credentials { return apiclient.Of(i.Config) }

// Token returns a token of the plugins' service account, bound to the node where the API server supports that, and its
// expiry. It reads the installer's credentials each time, because those of a pod change.
func (i Issuer) Token(ctx context.Context, node string) (string, time.Time, error) {
	namespace, err := i.Config.PodNamespace()
	if err != nil {
		return "", time.Time{}, err
	}
	client, server, err := i.own().Connect(i.UserAgent)
	if err != nil {
		return "", time.Time{}, err
	}
	ctx, cancel := deadline.Within(ctx, requestTimeout, "the request")
	defer cancel()
	spec := authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Node", Name: node},
	}
	status, err := request(ctx, client, namespace, i.Config.ServiceAccount, spec)
	// The API server does not bind tokens to Nodes before Kubernetes 1.31, and never to a Node that does not exist.
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsNotFound(err) {
		spec.BoundObjectRef = nil
		if status, err = request(ctx, client, namespace, i.Config.ServiceAccount, spec); err == nil {
			i.Log.Info("token is not bound to the node: "+
				"the API server is older than Kubernetes 1.31, or has no Node of this name", "node", node)
		}
	}
	if err != nil {
		return "", time.Time{}, i.explain(ctx, err, namespace, server)
	}
	return status.Token, status.ExpirationTimestamp.Time, nil
}

func request(
	ctx context.Context, client rest.Interface, namespace, account string, spec authenticationv1.TokenRequestSpec,
) (authenticationv1.TokenRequestStatus, error) {
	seconds := int64(lifetime.Seconds())
	spec.ExpirationSeconds = &seconds
	var answer authenticationv1.TokenRequest
	err := client.Post().Namespace(namespace).Resource("serviceaccounts").Name(account).SubResource("token").
		Body(&authenticationv1.TokenRequest{Spec: spec}).Do(ctx).Into(&answer)
	return answer.Status, err
}

// Accepted requests the version of the API server with the credentials of a kubeconfig. This needs valid credentials,
// but no permission. An error wraps credentials.ErrRefused if the API server rejects them.
func (i Issuer) Accepted(ctx context.Context, kubeconfig string) error {
	cfg, err := apiclient.FileConfig(kubeconfig)
	if err != nil {
		return err
	}
	client, err := apiclient.New(cfg, i.UserAgent)
	if err != nil {
		return fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	ctx, cancel := deadline.Within(ctx, checkTimeout, "the check of the token")
	defer cancel()
	answer := client.Get().AbsPath("/version").Do(ctx)
	// Unlike the error of Raw, this one is the Status that the API server sent.
	err = answer.Error()
	switch {
	case apiclient.IsRefusal(err):
		return fmt.Errorf("%w: the API server at %s does not accept the token of %s",
			credentials.ErrRefused, cfg.Host, kubeconfig)
	case apierrors.IsForbidden(err) && apiclient.FromAPIServer(err):
		return nil
	case err != nil:
		return fmt.Errorf("get version: %w", apiclient.Unanswered(ctx, err, cfg.Host))
	}
	data, _ := answer.Raw()
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	if json.Unmarshal(data, &version) != nil || version.GitVersion == "" {
		return fmt.Errorf("get version: %w", apiclient.AnotherServer(cfg.Host))
	}
	return nil
}
