// SPDX-License-Identifier: Apache-2.0

package kubeclient_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/pkg/kubeapi"
)

const otherUID = "00000000-0000-0000-0000-000000000000"

func TestAnnotatePodKeepsOtherAnnotations(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	pod, err := s.Admin().CreatePod(ctx, "n", "default", "annotated", func(p *corev1.Pod) {
		p.Annotations = map[string]string{"kept": "1", "changed": "old"}
	})
	do(t, err)
	client := admin(t, s)
	read, err := kubeapi.Pod(ctx, client, "default", "annotated")
	do(t, err)
	if diff := cmp.Diff(map[string]string{"kept": "1", "changed": "old"}, read.Annotations); diff != "" {
		t.Errorf("annotations as read (-want +got):\n%s", diff)
	}
	do(t, kubeapi.AnnotatePod(ctx, client, "default", read,
		map[string]*string{"changed": new("new"), "added": new("10.0.0.5/32")}))
	// Without a resourceVersion only the UID must match.
	do(t, kubeapi.AnnotatePod(ctx, client, "default", kubeapi.Meta{Name: "annotated", UID: string(pod.UID)},
		map[string]*string{"added": new("")}))

	after, err := s.Client().CoreV1().Pods("default").Get(ctx, "annotated", metav1.GetOptions{})
	do(t, err)
	if diff := cmp.Diff(map[string]string{"kept": "1", "changed": "new", "added": ""}, after.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(pod.Spec, after.Spec); diff != "" {
		t.Errorf("the rest of the pod changed:\n%s", diff)
	}
}

func TestAnnotatePodRejectsOtherOrChangedPod(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	pod, err := s.Admin().CreatePod(ctx, "n", "default", "guarded")
	do(t, err)
	client := admin(t, s)
	mark := map[string]*string{"marked": new("1")}

	err = kubeapi.AnnotatePod(ctx, client, "default", kubeapi.Meta{Name: "guarded", UID: otherUID}, mark)
	wantError(t, "another UID", err, kubeapi.ErrConflict, "annotate pod default/guarded", "another object of that name")
	err = kubeapi.AnnotatePod(ctx, client, "default",
		kubeapi.Meta{Name: "guarded", UID: otherUID, ResourceVersion: pod.ResourceVersion}, mark)
	wantError(t, "another UID at the same version", err, kubeapi.ErrConflict)

	stale := kubeapi.Meta{Name: "guarded", UID: string(pod.UID), ResourceVersion: pod.ResourceVersion}
	do(t, kubeapi.AnnotatePod(ctx, client, "default", stale, map[string]*string{"first": new("1")}))
	err = kubeapi.AnnotatePod(ctx, client, "default", stale, mark)
	wantError(t, "an older version", err, kubeapi.ErrConflict, "annotate pod default/guarded")
	err = kubeapi.AnnotatePod(ctx, client, "default", kubeapi.Meta{Name: "missing", UID: string(pod.UID)}, mark)
	wantError(t, "a pod that is gone", err, kubeapi.ErrNotFound, "annotate pod default/missing")

	after, err := kubeapi.Pod(ctx, client, "default", "guarded")
	do(t, err)
	if diff := cmp.Diff(map[string]string{"first": "1"}, after.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}
