// Package store_test runs what needs a store against the real API server.
package store_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/ipam/storetest"
	"calico-cni/pkg/kube"
	"calico-cni/test/apiserver"
)

func TestMain(m *testing.M) { apiserver.Main(m) }

// cluster returns the API server with the CRDs, and a client of the administrator.
func cluster(t testing.TB) (*apiserver.Server, *kube.Client) {
	t.Helper()
	s := apiserver.ForTest(t)
	crds.Do(func() {
		errCRDs = s.ApplyCRDs(context.Background(), os.DirFS(filepath.Join("..", "..", "deploy", "crds")))
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

func TestCRDStoreKeepsTheContractOfStores(t *testing.T) {
	storetest.Run(t, func(t testing.TB) ipam.Store {
		_, client := cluster(t)
		return crdstore.New(client)
	})
}
