// SPDX-License-Identifier: Apache-2.0

// Package store_test runs the tests of the store against the real API server.
package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/kube"
	"calico-cni/test/apiserver"
)

func TestMain(m *testing.M) { apiserver.Main(m) }

// cluster returns the API server with the CRDs of both groups, and a client of the administrator.
func cluster(t testing.TB) (*apiserver.Server, *kube.Client) {
	t.Helper()
	s := apiserver.ForTest(t)
	crds.Do(func() {
		for _, dir := range []string{"crds/v1", "crds/v3"} {
			dir = filepath.Join("..", "..", "deploy", dir)
			errCRDs = errors.Join(errCRDs, s.Admin().ApplyCRDs(context.Background(), os.DirFS(dir)))
		}
	})
	if errCRDs != nil {
		t.Fatal(errCRDs)
	}
	client, err := kube.Load(s.Kubeconfig(), "calico-cni-test")
	if err != nil {
		t.Fatal(err)
	}
	return s, client
}

var (
	crds    sync.Once
	errCRDs error
)

// TestAffinitiesWithoutLabelsGetLabels simulates a cluster with objects of an old Calico.
func TestAffinitiesWithoutLabelsGetLabels(t *testing.T) {
	server, client := cluster(t)
	once := nodestate.Once(filepath.Join(t.TempDir(), "labelled"))
	s := crdstore.New(client, crdstore.V1, once)
	rows := server.Dynamic().Resource(apiserver.CalicoResource("blockaffinities"))
	for name, node := range map[string]string{"old-10-70-0-0-26": "old", "older-10-70-0-64-26": "older"} {
		cidr := map[string]string{"old": "10.70.0.0/26", "older": "10.70.0.64/26"}[node]
		_, err := rows.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "crd.projectcalico.org/v1", "kind": "BlockAffinity", "metadata": map[string]any{"name": name},
			"spec": map[string]any{"cidr": cidr, "node": node, "state": "confirmed", "deleted": "false"},
		}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	list := func(cached bool) int {
		got, err := s.AffinitiesOf(t.Context(), "old", cached)
		if err != nil {
			t.Fatal(err)
		}
		return len(got)
	}
	if list(true) != 0 || once.Done() {
		t.Error("a cached answer is not to look further")
	}
	if list(false) != 1 || !once.Done() {
		t.Error("the old row was not found")
	}
	other, err := rows.Get(t.Context(), "older-10-70-0-64-26", metav1.GetOptions{})
	if err != nil || len(other.GetLabels()) != 0 {
		t.Errorf("another node's row: %v, %v", other.GetLabels(), err)
	}
}
