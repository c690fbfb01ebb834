// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// Admin creates and deletes objects as the administrator.
type Admin struct {
	client  kubernetes.Interface
	dynamic dynamic.Interface
}

// CreateNamespace creates a namespace with the service account "default", which a controller would create and pods
// require. Existing objects stay unchanged.
func (a Admin) CreateNamespace(ctx context.Context, name string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := a.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace: %w", err)
	}
	return a.CreateServiceAccount(ctx, name, "default")
}

// CreateServiceAccount creates a service account. An existing one stays unchanged.
func (a Admin) CreateServiceAccount(ctx context.Context, namespace, name string) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	_, err := a.client.CoreV1().ServiceAccounts(namespace).Create(ctx, account, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create service account: %w", err)
	}
	return nil
}

// CreateNode creates a node with the hostname label that a kubelet would set.
func (a Admin) CreateNode(ctx context.Context, name string) (*corev1.Node, error) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name:   name,
		Labels: map[string]string{corev1.LabelHostname: name},
	}}
	node, err := a.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("create node: %w", err)
	}
	return node, nil
}

// CreatePod creates a pod with one container that is bound to a node. The node need not exist. Each option may modify
// the pod first.
func (a Admin) CreatePod(ctx context.Context, node, namespace, name string,
	options ...func(*corev1.Pod),
) (*corev1.Pod, error) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			NodeName:   node,
			Containers: []corev1.Container{{Name: "main", Image: "none"}},
		},
	}
	for _, option := range options {
		option(pod)
	}
	pod, err := a.client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("create pod: %w", err)
	}
	return pod, nil
}

// DeletePod deletes a pod immediately, because a graceful deletion never ends without a kubelet.
func (a Admin) DeletePod(ctx context.Context, namespace, name string) error {
	err := a.client.CoreV1().Pods(namespace).Delete(ctx, name, *metav1.NewDeleteOptions(0))
	if err != nil {
		return fmt.Errorf("delete pod: %w", err)
	}
	return nil
}
