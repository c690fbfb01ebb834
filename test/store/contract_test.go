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
	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/ipam/storetest"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/kubeapi/clientgo"
	"calico-cni/test/apiserver"
)

// TestContract runs the contract of stores on the API server, in both API groups, with the client of the plugins and
// with that of daemons.
func TestContract(t *testing.T) {
	for _, group := range []crdstore.Group{crdstore.V1, crdstore.V3} {
		t.Run(string(group), func(t *testing.T) {
			deleteRows(t, group)
			storetest.Run(t, func(t testing.TB) storetest.Fixture { return fixture(t, group, byKube) })
		})
		t.Run(string(group)+" with client-go", func(t *testing.T) {
			deleteRows(t, group)
			storetest.Run(t, func(t testing.TB) storetest.Fixture { return fixture(t, group, byClientGo) })
		})
	}
}

// deleteRows deletes the rows of all kinds, also those with a finalizer.
func deleteRows(t *testing.T, group crdstore.Group) {
	t.Helper()
	server, _ := cluster(t)
	for _, plural := range []string{spec.IPAMBlocks, spec.BlockAffinities, spec.IPAMHandles} {
		rows := server.Dynamic().Resource(resource(t, group, plural))
		list, err := rows.List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range list.Items {
			if len(row.GetFinalizers()) == 0 {
				continue
			}
			patch := []byte(`{"metadata":{"finalizers":null}}`)
			_, err := rows.Patch(t.Context(), row.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func resource(t testing.TB, group crdstore.Group, plural string) schema.GroupVersionResource {
	t.Helper()
	gv, err := schema.ParseGroupVersion(string(group))
	if err != nil {
		t.Fatal(err)
	}
	return gv.WithResource(plural)
}

// byKube returns the transport of the plugins for a kubeconfig file.
func byKube(t testing.TB, kubeconfig string) crdstore.Transport {
	t.Helper()
	client, err := kube.Load(kubeconfig, "calico-cni-test")
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// byClientGo returns the transport of daemons for a kubeconfig file, without a rate limit.
func byClientGo(t testing.TB, kubeconfig string) crdstore.Transport {
	t.Helper()
	return clientGo(t, kubeconfig)
}

func clientGo(t testing.TB, kubeconfig string) *clientgo.Transport {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	transport, err := clientgo.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return transport
}

func fixture(
	t testing.TB, group crdstore.Group, connect func(t testing.TB, kubeconfig string) crdstore.Transport,
) storetest.Fixture {
	server, _ := cluster(t)
	client := connect(t, server.Kubeconfig())
	var f faults
	served := "/apis/" + string(group) + "/"
	paged := newStore(t, client, group)
	paged.SetPageSize(2)
	return storetest.Fixture{
		Store:  newStore(t, client, group),
		Paged:  paged,
		Faulty: newStore(t, connect(t, through(t, server, func(*http.Request) {}, f.around)), group),
		// Request resources that the server does not know.
		Unserved: newStore(t, connect(t, through(t, server, func(r *http.Request) {
			r.URL.Path = strings.Replace(r.URL.Path, served, served+"unserved", 1)
		}, func(next http.Handler) http.Handler { return next })), group),
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

func newStore(t testing.TB, client crdstore.Transport, group crdstore.Group) *crdstore.Store {
	return crdstore.New(client, group, nodestate.Once(filepath.Join(t.TempDir(), "labelled")))
}

// through returns a kubeconfig file of the administrator for a proxy, which changes requests.
func through(
	t testing.TB, server *apiserver.Server, change func(*http.Request), around func(http.Handler) http.Handler,
) string {
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
	return file
}

// addFinalizer adds a finalizer to a block, like other software.
func addFinalizer(t testing.TB, server *apiserver.Server, group crdstore.Group, cidr netip.Prefix) {
	t.Helper()
	blocks := server.Dynamic().Resource(resource(t, group, spec.IPAMBlocks))
	name := strings.NewReplacer(".", "-", "/", "-").Replace(cidr.String())
	patch := []byte(`{"metadata":{"finalizers":["test.example/hold"]}}`)
	_, err := blocks.Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}
