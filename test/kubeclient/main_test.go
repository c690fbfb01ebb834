// SPDX-License-Identifier: Apache-2.0

// Package kubeclient_test runs the client of package kube against the real API server, and against faulty servers.
package kubeclient_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/kubeapi"
	"calico-cni/test/apiserver"
)

func TestMain(m *testing.M) { apiserver.Main(m) }

const userAgent = "calico-cni-test"

// cluster returns the API server with the CRDs.
func cluster(t *testing.T) *apiserver.Server {
	t.Helper()
	s := apiserver.ForTest(t)
	crds.Do(func() {
		crds.err = s.Admin().ApplyCRDs(context.Background(), os.DirFS(filepath.Join("..", "..", "deploy", "crds", "v1")))
	})
	do(t, crds.err)
	return s
}

// crds are applied once, by the first test that needs them.
var crds struct {
	sync.Once
	err error
}

// admin returns a client with the administrator's credentials.
func admin(t *testing.T, s *apiserver.Server) *kube.Client {
	t.Helper()
	return load(t, s.Kubeconfig())
}

func load(t *testing.T, file string) *kube.Client {
	t.Helper()
	client, err := kube.Load(file, userAgent)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// kubeconfig writes the administrator's kubeconfig with changes to its cluster and user.
func kubeconfig(t *testing.T, s *apiserver.Server, change func(*clientcmdapi.Cluster, *clientcmdapi.AuthInfo)) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(s.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	current := config.Contexts[config.CurrentContext]
	change(config.Clusters[current.Cluster], config.AuthInfos[current.AuthInfo])
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// at returns a client of the administrator for a server at another address.
func at(t *testing.T, s *apiserver.Server, address string) *kube.Client {
	t.Helper()
	return load(t, kubeconfig(t, s, func(c *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) {
		c.Server = "https://" + address
	}))
}

// reservations is a kind of object that no other test writes.
func reservations(c kubeapi.Transport) kubeapi.Objects[spec.IPReservation] {
	return kubeapi.NewObjects[spec.IPReservation](c, spec.GroupVersion, spec.IPReservations)
}

func reservation(name string, cidrs ...string) *kubeapi.Object[spec.IPReservation] {
	return &kubeapi.Object[spec.IPReservation]{
		APIVersion: spec.GroupVersion, Kind: "IPReservation",
		Metadata: kubeapi.Metadata{Name: name},
		Spec:     spec.IPReservation{ReservedCIDRs: cidrs},
	}
}

func create(t *testing.T, c *kube.Client, name string, cidrs ...string) *kubeapi.Object[spec.IPReservation] {
	t.Helper()
	o, err := reservations(c).Create(t.Context(), name, reservation(name, cidrs...))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// wantError checks which error is wrapped, and parts of the message.
func wantError(t *testing.T, what string, err, target error, says ...string) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: %v, want %v", what, err, target)
		return
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %q does not contain %q", what, err, text)
		}
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
