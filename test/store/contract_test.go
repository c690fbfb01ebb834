package store_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"calico-cni/internal/oncefile"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/ipam/storetest"
	"calico-cni/pkg/kube"
	"calico-cni/test/apiserver"
	"calico-cni/test/proxy"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Fixture {
		server, client := cluster(t)
		p := proxy.Start(t, server.Kubeconfig())
		p.Arm(nil) // requests are not held back
		write := func(method, _ string) bool { return method != http.MethodGet }
		return storetest.Fixture{
			Store:    newStore(t, client),
			Faulty:   newStore(t, load(t, p.Kubeconfig(t, server.Kubeconfig()))),
			Unserved: newStore(t, load(t, withoutCRDs(t, server))),
			Refuse: func() func() {
				p.Arm(&proxy.Fault{Name: "overload", Matches: write, Status: http.StatusTooManyRequests, Always: true})
				return func() { p.Arm(nil) }
			},
			LoseAnswer: func() { p.Arm(&proxy.Fault{Name: "answer lost", Matches: write, Lose: proxy.After}) },
			Hold:       func(t testing.TB, cidr netip.Prefix) { addFinalizer(t, server, cidr) },
		}
	})
}

func newStore(t testing.TB, client *kube.Client) *crdstore.Store {
	return crdstore.New(client, oncefile.File(filepath.Join(t.TempDir(), "labelled")))
}

func load(t testing.TB, kubeconfig string) *kube.Client {
	t.Helper()
	client, err := kube.Load(kubeconfig, "calico-cni-test")
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// withoutCRDs returns a kubeconfig of a server that serves the API group of the rows, and no resource in it: a proxy asks the
// real server for resources that it does not know.
func withoutCRDs(t testing.TB, server *apiserver.Server) string {
	t.Helper()
	target, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	p := httptest.NewServer(&httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.URL.Path = strings.Replace(r.Out.URL.Path, "/v1/", "/v1/unserved", 1)
	}})
	t.Cleanup(p.Close)
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: p.URL}
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c"}
	config.CurrentContext = "c"
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// addFinalizer has other software hold a block, until the test ends.
func addFinalizer(t testing.TB, server *apiserver.Server, cidr netip.Prefix) {
	t.Helper()
	blocks := server.Dynamic().Resource(schema.GroupVersionResource{Group: "crd.projectcalico.org", Version: "v1", Resource: "ipamblocks"})
	name := strings.NewReplacer(".", "-", "/", "-").Replace(cidr.String())
	patch := func(finalizers string) error {
		_, err := blocks.Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":`+finalizers+`}}`), metav1.PatchOptions{})
		return err
	}
	if err := patch(`["test.example/hold"]`); err != nil {
		t.Fatal(err)
	}
}
