// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"calico-cni/test/proxy"
)

// outage is a kind of API server outage. A kubeconfig leads to the server before, during and after it.
type outage struct {
	name string
	// begin starts the outage and returns the path of the kubeconfig.
	begin func(*testing.T) string
	end   func(*testing.T)
	// says is part of the plugins' message.
	says string
}

// outages are all kinds.
func outages(t *testing.T) []outage {
	t.Helper()
	installed(t)
	through := proxy.Start(t, n.Kubeconfig())
	path := through.Kubeconfig(t, n.Kubeconfig())
	by := func(f proxy.Fault) func(*testing.T) string {
		f.Always = true
		return func(*testing.T) string { through.Arm(&f); return path }
	}
	back := func(*testing.T) { through.Arm(nil) }
	return []outage{
		{name: "unreachable", begin: by(proxy.Fault{Lose: proxy.Before}), end: back, says: "API server unavailable"},
		{
			name: "404 of a load balancer", begin: by(proxy.Fault{Status: http.StatusNotFound, Page: true}), end: back,
			says: "API not served",
		},
		{
			name: "login page", begin: by(proxy.Fault{Status: http.StatusOK, Page: true}), end: back,
			says: "API not served",
		},
		{
			name: "redirect to a login page", end: back, says: "API not served",
			begin: by(proxy.Fault{Status: http.StatusFound, Page: true, Location: "https://login.test/"}),
		},
		{name: "401", begin: by(proxy.Fault{Status: http.StatusUnauthorized}), end: back, says: "credentials refused"},
		{
			name: "not ready", begin: func(t *testing.T) string { lock(t); return path }, end: unlock,
			says: "datastoreReady",
		},
	}
}

// lock sets datastoreReady to false.
func lock(t *testing.T) {
	t.Helper()
	must(t, n.Datastore.Create(t.Context(), "ClusterInformation", "clusterinformations", "default",
		map[string]any{"datastoreReady": false}))
}

func unlock(t *testing.T) {
	t.Helper()
	must(t, n.Datastore.Delete(withoutCancel(t.Context()), "clusterinformations", "default"))
}

// alter changes the attributes of a handle's addresses in the blocks, like another writer.
func alter(t *testing.T, handle string, change func(attribute map[string]any)) {
	t.Helper()
	ctx := withoutCancel(t.Context())
	blocks := n.Datastore.Resource("ipamblocks")
	all, err := blocks.List(ctx, metav1.ListOptions{})
	must(t, err)
	altered := 0
	for _, b := range all.Items {
		attributes, _, err := unstructured.NestedSlice(b.Object, "spec", "attributes")
		must(t, err)
		before := altered
		for _, a := range attributes {
			if a, _ := a.(map[string]any); a["handle_id"] == handle {
				change(a)
				altered++
			}
		}
		if altered == before {
			continue
		}
		must(t, unstructured.SetNestedSlice(b.Object, attributes, "spec", "attributes"))
		_, err = blocks.Update(ctx, &b, metav1.UpdateOptions{})
		must(t, err)
	}
	if altered == 0 {
		t.Fatalf("no block holds anything for %s", handle)
	}
}
