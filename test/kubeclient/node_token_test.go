// SPDX-License-Identifier: Apache-2.0

package kubeclient_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"calico-cni/pkg/kube"
)

// TestNodeBoundTokenEndsWithNode requests a token from a real API server, like install.
func TestNodeBoundTokenEndsWithNode(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	do(t, s.CreateServiceAccount(ctx, "default", "node-bound"))
	node, err := s.Client().CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "bound-1"}},
		metav1.CreateOptions{})
	do(t, err)
	token, bound, err := admin(t, s).RequestNodeToken(ctx, "default", "node-bound", "bound-1", time.Hour)
	if do(t, err); !bound {
		t.Fatal("the token is not bound")
	}
	if name, uid := boundNode(t, token.Value); name != "bound-1" || uid != string(node.UID) {
		t.Errorf("the token is bound to node %s with UID %s, want bound-1 with %s", name, uid, node.UID)
	}
	client := load(t, kubeconfig(t, s, func(_ *clientcmdapi.Cluster, u *clientcmdapi.AuthInfo) {
		*u = clientcmdapi.AuthInfo{Token: token.Value}
	}))
	do(t, client.Ping(ctx))

	do(t, s.Client().CoreV1().Nodes().Delete(ctx, "bound-1", metav1.DeleteOptions{}))
	// The server caches a successful token review for some seconds.
	for range 300 {
		if err = client.Ping(ctx); errors.Is(err, kube.ErrUnauthorized) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	wantError(t, "after the node is deleted", err, kube.ErrUnauthorized)

	token, bound, err = admin(t, s).RequestNodeToken(ctx, "default", "node-bound", "bound-1", time.Hour)
	if do(t, err); bound || token.Value == "" {
		t.Errorf("a token for a node that does not exist: bound %t", bound)
	}
	if name, _ := boundNode(t, token.Value); name != "" {
		t.Errorf("the token is bound to node %s", name)
	}
	_, _, err = admin(t, s).RequestNodeToken(ctx, "default", "nobody", "bound-1", time.Hour)
	wantError(t, "token of nobody", err, kube.ErrNotFound, "default/nobody")
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
