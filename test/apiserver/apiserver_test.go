// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"path/filepath"
	"testing"
	"testing/fstest"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"calico-cni/test/apiserver"
)

func TestMain(m *testing.M) { apiserver.Main(m) }

// readNodes is a role. One test binds it, another uses it as a file that is not a CRD.
const readNodes = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: read-nodes}
rules:
- {apiGroups: [""], resources: [nodes], verbs: [get, list]}
`

func TestServiceAccountHasOnlyRightsOfItsBinding(t *testing.T) {
	ctx, s := t.Context(), apiserver.ForTest(t)
	do(t, s.Admin().CreateNamespace(ctx, "rbac"))
	do(t, s.Admin().CreateServiceAccount(ctx, "rbac", "reader"))
	config := must(s.Accounts().ConfigFor(ctx, "rbac", "reader"))(t)
	nodes := must(kubernetes.NewForConfig(config))(t).CoreV1().Nodes()

	if _, err := nodes.List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("list nodes without a binding: %v, want Forbidden", err)
	}
	do(t, s.Accounts().BindClusterRole(ctx, []byte(readNodes), "rbac", "reader"))
	if _, err := nodes.List(ctx, metav1.ListOptions{}); err != nil {
		t.Fatalf("list nodes with a binding: %v", err)
	}
	if err := nodes.Delete(ctx, "none", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("delete a node with a binding to read: %v, want Forbidden", err)
	}
}

func TestKubeconfigAuthenticatesAsItsServiceAccount(t *testing.T) {
	ctx, s := t.Context(), apiserver.ForTest(t)
	do(t, s.Admin().CreateNamespace(ctx, "tokens"))
	do(t, s.Admin().CreateServiceAccount(ctx, "tokens", "plugin"))
	file := filepath.Join(t.TempDir(), "kubeconfig")
	do(t, s.Accounts().WriteKubeconfig(ctx, file, "tokens", "plugin"))

	config := must(clientcmd.BuildConfigFromFlags("", file))(t)
	if got, want := whoami(t, config), "system:serviceaccount:tokens:plugin"; got != want {
		t.Errorf("user is %q, want %q", got, want)
	}
	config.BearerToken += "x"
	_, err := must(kubernetes.NewForConfig(config))(t).CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if !apierrors.IsUnauthorized(err) {
		t.Errorf("list nodes with a changed token: %v, want Unauthorized", err)
	}
}

func TestWritesOfStaleRevisionConflict(t *testing.T) {
	ctx, s := t.Context(), apiserver.ForTest(t)
	maps := s.Client().CoreV1().ConfigMaps("default")
	stale := must(maps.Create(ctx, configMap("swap", "v", "1"), metav1.CreateOptions{}))(t)
	next := stale.DeepCopy()
	next.Data["v"] = "2"
	fresh := must(maps.Update(ctx, next, metav1.UpdateOptions{}))(t)

	stale.Data["v"] = "lost"
	if _, err := maps.Update(ctx, stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("update of an older revision: %v, want Conflict", err)
	}
	del := func(revision string) error {
		precondition := &metav1.Preconditions{UID: &fresh.UID, ResourceVersion: &revision}
		return maps.Delete(ctx, "swap", metav1.DeleteOptions{Preconditions: precondition})
	}
	if err := del(stale.ResourceVersion); !apierrors.IsConflict(err) {
		t.Errorf("delete of an older revision: %v, want Conflict", err)
	}
	if got := must(maps.Get(ctx, "swap", metav1.GetOptions{}))(t).Data["v"]; got != "2" {
		t.Errorf("after the conflicts v is %q, want 2", got)
	}
	if err := del(fresh.ResourceVersion); err != nil {
		t.Errorf("delete of the newest revision: %v", err)
	}
}

func TestCreatedPodIsBoundToNode(t *testing.T) {
	ctx, s := t.Context(), apiserver.ForTest(t)
	must(s.Admin().CreateNode(ctx, "node-of-pods"))(t)
	annotate := func(pod *corev1.Pod) { pod.Annotations = map[string]string{"a": "b"} }
	pod := must(s.Admin().CreatePod(ctx, "node-of-pods", "default", "web", annotate))(t)
	if pod.Spec.NodeName != "node-of-pods" || pod.UID == "" || pod.Annotations["a"] != "b" {
		t.Errorf("pod is on %q with UID %q and annotations %v", pod.Spec.NodeName, pod.UID, pod.Annotations)
	}
	do(t, s.Admin().DeletePod(ctx, "default", "web"))
	_, err := s.Client().CoreV1().Pods("default").Get(ctx, "web", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("get deleted pod: %v, want NotFound", err)
	}
}

const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.test.example}
spec:
  group: test.example
  scope: Cluster
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {size: {type: integer, maximum: 3}}
`

func TestApplyCRDsWaitsUntilCRDsAreServed(t *testing.T) {
	ctx, s := t.Context(), apiserver.ForTest(t)
	files := fstest.MapFS{"widgets.yaml": {Data: []byte("---" + widgets)}, "README.md": {Data: []byte("no YAML")}}
	do(t, s.Admin().ApplyCRDs(ctx, files))
	do(t, s.Admin().ApplyCRDs(ctx, files))

	resource := schema.GroupVersionResource{Group: "test.example", Version: "v1", Resource: "widgets"}
	client := s.Dynamic().Resource(resource)
	widget := func(name string, size int64) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "test.example/v1", "kind": "Widget", "metadata": map[string]any{"name": name}, "size": size,
		}}
	}
	must(client.Create(ctx, widget("small", 3), metav1.CreateOptions{}))(t)
	if _, err := client.Create(ctx, widget("large", 4), metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("create a widget that violates the schema: %v, want Invalid", err)
	}
}

func TestApplyCRDsRejectsFilesWithoutCRDs(t *testing.T) {
	ctx, s := t.Context(), apiserver.ForTest(t)
	for name, files := range map[string]fstest.MapFS{
		"no file":      {},
		"other kind":   {"a.yaml": {Data: []byte(readNodes)}},
		"no YAML":      {"a.yaml": {Data: []byte("{")}},
		"only comment": {"a.yaml": {Data: []byte("# nothing\n")}},
	} {
		if err := s.Admin().ApplyCRDs(ctx, files); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// whoami returns the user name of a client.
func whoami(t *testing.T, config *rest.Config) string {
	t.Helper()
	client := must(kubernetes.NewForConfig(config))(t)
	reviews := client.AuthenticationV1().SelfSubjectReviews()
	review := must(reviews.Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{}))(t)
	return review.Status.UserInfo.Username
}

func configMap(name, key, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{key: value}}
}

// do fails the test on an error.
func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must returns a function that returns the value, or fails the test on an error.
func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		do(t, err)
		return value
	}
}
