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
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"
)

// tokenLifetime is the requested lifetime of tokens. It exceeds the duration of any test.
const tokenLifetime = 24 * time.Hour

// Accounts issues tokens of service accounts and grants them rights.
type Accounts struct {
	client kubernetes.Interface
	admin  *rest.Config
}

// Token returns a token of a service account, from the TokenRequest API.
func (a Accounts) Token(ctx context.Context, namespace, name string) (string, error) {
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(tokenLifetime.Seconds()))},
	}
	accounts := a.client.CoreV1().ServiceAccounts(namespace)
	request, err := accounts.CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("request token of service account %s/%s: %w", namespace, name, err)
	}
	return request.Status.Token, nil
}

// ConfigFor returns a client configuration with a token of a service account.
func (a Accounts) ConfigFor(ctx context.Context, namespace, name string) (*rest.Config, error) {
	token, err := a.Token(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	config := rest.AnonymousClientConfig(a.admin)
	config.QPS, config.WarningHandler, config.BearerToken = a.admin.QPS, a.admin.WarningHandler, token
	return config, nil
}

// WriteKubeconfig writes a kubeconfig with a token of a service account. Only the owner of the file can read it.
func (a Accounts) WriteKubeconfig(ctx context.Context, file, namespace, name string) error {
	token, err := a.Token(ctx, namespace, name)
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: a.admin.Host, CertificateAuthorityData: a.admin.CAData}
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

// BindClusterRole creates a ClusterRole from YAML and binds it to a service account. It returns when the authorizer,
// which watches these objects, has applied them.
func (a Accounts) BindClusterRole(ctx context.Context, manifest []byte, namespace, name string) error {
	role := new(rbacv1.ClusterRole)
	if err := yaml.UnmarshalStrict(manifest, role); err != nil {
		return fmt.Errorf("parse cluster role: %w", err)
	}
	rbac := a.client.RbacV1()
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
	return a.waitAllowed(ctx, role, "system:serviceaccount:"+namespace+":"+name)
}

// waitAllowed waits until the user has the first right of the role's first rule.
func (a Accounts) waitAllowed(ctx context.Context, role *rbacv1.ClusterRole, user string) error {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user}}
	switch rule := first(role.Rules); {
	case len(rule.NonResourceURLs) > 0:
		review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{
			Path: rule.NonResourceURLs[0], Verb: first(rule.Verbs),
		}
	default:
		review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
			Group: first(rule.APIGroups), Resource: first(rule.Resources), Name: first(rule.ResourceNames),
			Verb: first(rule.Verbs),
		}
	}
	err := wait.PollUntilContextTimeout(ctx, pollInterval, pollTimeout, true, func(ctx context.Context) (bool, error) {
		result, err := a.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && result.Status.Allowed, err
	})
	if err != nil {
		return fmt.Errorf("wait for cluster role %s to take effect: %w", role.Name, err)
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
