// SPDX-License-Identifier: Apache-2.0

package kubeclient_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/credentials"
	"calico-cni/pkg/install/tokens"
	"calico-cni/pkg/kubeapi"
)

// TestNodeBoundTokenEndsWithNode requests tokens from a real API server, as install does.
func TestNodeBoundTokenEndsWithNode(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	do(t, s.Admin().CreateServiceAccount(ctx, "default", "node-bound"))
	node, err := s.Client().CoreV1().Nodes().
		Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "bound-1"}}, metav1.CreateOptions{})
	do(t, err)
	issuer := tokens.Issuer{
		Config:    config.Config{Kubeconfig: s.Kubeconfig(), Namespace: "default", ServiceAccount: "node-bound"},
		UserAgent: userAgent, Log: slog.New(slog.DiscardHandler),
	}
	token, expires, err := issuer.Token(ctx, "bound-1")
	do(t, err)
	if left := time.Until(expires); left < 23*time.Hour || left > 25*time.Hour {
		t.Errorf("token expires in %v, want about a day", left)
	}
	if name, uid := boundNode(t, token); name != "bound-1" || uid != string(node.UID) {
		t.Errorf("the token is bound to node %s with UID %s, want bound-1 with %s", name, uid, node.UID)
	}
	file := kubeconfig(t, s, func(_ *clientcmdapi.Cluster, u *clientcmdapi.AuthInfo) {
		*u = clientcmdapi.AuthInfo{Token: token}
	})
	do(t, issuer.Accepted(ctx, file))
	_, err = kubeapi.Node(ctx, load(t, file), "any")
	wantError(t, "as the account", err, kubeapi.ErrForbidden, "system:serviceaccount:default:node-bound")

	do(t, s.Client().CoreV1().Nodes().Delete(ctx, "bound-1", metav1.DeleteOptions{}))
	// The server caches a successful token review for some seconds.
	for range 300 {
		if err = issuer.Accepted(ctx, file); errors.Is(err, credentials.ErrRefused) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	wantError(t, "after the node is deleted", err, credentials.ErrRefused)

	token, _, err = issuer.Token(ctx, "bound-1")
	do(t, err)
	if name, _ := boundNode(t, token); name != "" {
		t.Errorf("the token is bound to node %s, which does not exist", name)
	}
	issuer.Config.ServiceAccount = "missing"
	_, _, err = issuer.Token(ctx, "bound-1")
	if err == nil || !strings.Contains(err.Error(), "default/missing") ||
		!strings.Contains(err.Error(), "create the service account") {
		t.Errorf("token of a missing service account: %v", err)
	}
}

// boundNode returns the node in the claims of a token.
func boundNode(t *testing.T, token string) (name, uid string) {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	do(t, err)
	var claims struct {
		Kubernetes struct {
			Node struct {
				Name string `json:"name"`
				UID  string `json:"uid"`
			} `json:"node"`
		} `json:"kubernetes.io"`
	}
	do(t, json.Unmarshal(payload, &claims))
	return claims.Kubernetes.Node.Name, claims.Kubernetes.Node.UID
}
