// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"os"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"
)

// tokenLifetime is what a service account's token is asked for: longer than any test.
const tokenLifetime = 24 * time.Hour

// Token returns a token of a service account, from the TokenRequest API.
func (s *Server) Token(ctx context.Context, namespace, name string) (string, error) {
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(tokenLifetime.Seconds()))},
	}
	accounts := s.client.CoreV1().ServiceAccounts(namespace)
	request, err := accounts.CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("request token of service account %s/%s: %w", namespace, name, err)
	}
	return request.Status.Token, nil
}

// ConfigFor returns a client configuration with a token of a service account.
func (s *Server) ConfigFor(ctx context.Context, namespace, name string) (*rest.Config, error) {
	token, err := s.Token(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	config := rest.AnonymousClientConfig(s.config)
	config.QPS, config.WarningHandler, config.BearerToken = s.config.QPS, s.config.WarningHandler, token
	return config, nil
}

// WriteKubeconfig writes a kubeconfig with a token of a service account to file, readable by its owner alone.
func (s *Server) WriteKubeconfig(ctx context.Context, file, namespace, name string) error {
	token, err := s.Token(ctx, namespace, name)
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: s.URL(), CertificateAuthorityData: s.config.CAData}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("encode kubeconfig: %w", err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}

// BindClusterRole makes a ClusterRole from YAML and binds it to a service account, and returns when the
// authorizer, which follows these objects by a watch, goes by them.
func (s *Server) BindClusterRole(ctx context.Context, manifest []byte, namespace, name string) error {
	role := new(rbacv1.ClusterRole)
	if err := yaml.UnmarshalStrict(manifest, role); err != nil {
		return fmt.Errorf("parse cluster role: %w", err)
	}
	rbac := s.client.RbacV1()
	if _, err := rbac.ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create cluster role: %w", err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}},
	}
	if _, err := rbac.ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create cluster role binding: %w", err)
	}
	return s.waitAllowed(ctx, role, "system:serviceaccount:"+namespace+":"+name)
}

// waitAllowed waits until user may do the first thing that the first rule of role allows.
func (s *Server) waitAllowed(ctx context.Context, role *rbacv1.ClusterRole, user string) error {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user}}
	switch rule := first(role.Rules); {
	case len(rule.NonResourceURLs) > 0:
		review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{
			Path: rule.NonResourceURLs[0], Verb: first(rule.Verbs),
		}
	default:
		review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
			Group: first(rule.APIGroups), Resource: first(rule.Resources), Name: first(rule.ResourceNames), Verb: first(rule.Verbs),
		}
	}
	err := wait.PollUntilContextTimeout(ctx, pollInterval, pollTimeout, true, func(ctx context.Context) (bool, error) {
		result, err := s.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && result.Status.Allowed, err
	})
	if err != nil {
		return fmt.Errorf("wait for cluster role %s to count: %w", role.Name, err)
	}
	return nil
}

// first returns the first element, or the zero value.
func first[T any](list []T) (element T) {
	if len(list) > 0 {
		element = list[0]
	}
	return element
}
