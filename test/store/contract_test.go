// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/ipam/storetest"
	"calico-cni/pkg/kube"
	"calico-cni/test/apiserver"
)

// TestContract runs the contract of stores on the API server, in both API groups.
func TestContract(t *testing.T) {
	for _, group := range []crdstore.Group{crdstore.V1, crdstore.V3} {
		t.Run(string(group), func(t *testing.T) {
			storetest.Run(t, func(t testing.TB) storetest.Fixture { return fixture(t, group) })
		})
	}
}

func fixture(t testing.TB, group crdstore.Group) storetest.Fixture {
	server, client := cluster(t)
	var f faults
	served := "/apis/" + string(group) + "/"
	paged := newStore(t, client, group)
	paged.SetPageSize(2)
	return storetest.Fixture{
		Store:  newStore(t, client, group),
		Paged:  paged,
		Faulty: newStore(t, through(t, server, func(*http.Request) {}, f.around), group),
		// Request resources that the server does not know.
		Unserved: newStore(t, through(t, server, func(r *http.Request) {
			r.URL.Path = strings.Replace(r.URL.Path, served, served+"unserved", 1)
		}, func(next http.Handler) http.Handler { return next }), group),
		Refuse:     func() func() { f.refuse.Store(true); return func() { f.refuse.Store(false) } },
		LoseAnswer: func() { f.lose.Store(true) },
		Hold:       func(t testing.TB, cidr netip.Prefix) { addFinalizer(t, server, group, cidr) },
	}
}

// faults are the faults of writes to the server.
type faults struct{ refuse, lose atomic.Bool }

func (f *faults) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet:
			next.ServeHTTP(w, r)
		case f.refuse.Load():
			http.Error(w, "too many requests", http.StatusTooManyRequests)
		case f.lose.Swap(false):
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func newStore(t testing.TB, client *kube.Client, group crdstore.Group) *crdstore.Store {
	return crdstore.New(client, group, nodestate.Once(filepath.Join(t.TempDir(), "labelled")))
}

// through returns a client of the administrator that uses a proxy, which changes requests.
func through(
	t testing.TB, server *apiserver.Server, change func(*http.Request), around func(http.Handler) http.Handler,
) *kube.Client {
	t.Helper()
	target, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	p := httptest.NewServer(around(&httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		change(r.Out)
	}}))
	t.Cleanup(p.Close)
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: p.URL}
	config.AuthInfos["c"] = &clientcmdapi.AuthInfo{}
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "c"}
	config.CurrentContext = "c"
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	client, err := kube.Load(file, "calico-cni-test")
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// addFinalizer adds a finalizer to a block, like other software.
func addFinalizer(t testing.TB, server *apiserver.Server, group crdstore.Group, cidr netip.Prefix) {
	t.Helper()
	gv, err := schema.ParseGroupVersion(string(group))
	if err != nil {
		t.Fatal(err)
	}
	blocks := server.Dynamic().Resource(gv.WithResource("ipamblocks"))
	name := strings.NewReplacer(".", "-", "/", "-").Replace(cidr.String())
	patch := []byte(`{"metadata":{"finalizers":["test.example/hold"]}}`)
	_, err = blocks.Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}
