// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"calico-cni/test/apiserver"
)

// serveV3 serves the kinds of projectcalico.org/v3 with these plural names, and a pool, until the test ends.
func serveV3(t *testing.T, plurals ...string) {
	t.Helper()
	crds := fstest.MapFS{"migrations.yaml": {Data: []byte(migrationCRD)}}
	for _, plural := range plurals {
		name := "projectcalico.org_" + plural + ".yaml"
		data, err := os.ReadFile(filepath.Join("..", "..", "deploy", "crds", "v3", name))
		must(t, err)
		crds[name] = &fstest.MapFile{Data: data}
	}
	must(t, n.Server.Admin().ApplyCRDs(t.Context(), crds))
	t.Cleanup(func() { removeGroups(t, plurals...) })
	pool := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": map[string]any{"name": "v3"},
		"spec": map[string]any{"cidr": "10.250.0.0/24"},
	}}
	pools := n.Server.Dynamic().Resource(apiserver.ResourceIn(apiserver.V3, "ippools"))
	_, err := pools.Create(t.Context(), pool, metav1.CreateOptions{})
	must(t, err)
}

// TestV3WithoutIPAMKindsIsExplained runs an ADD on a cluster that serves pools in projectcalico.org/v3 but no blocks.
func TestV3WithoutIPAMKindsIsExplained(t *testing.T) {
	installed(t)
	if n.Datastore.Group == apiserver.V3 {
		t.Skip("this test needs a cluster with crd.projectcalico.org/v1")
	}
	p := newPod(t, "v3-without-kinds")
	serveV3(t, "ippools", "clusterinformations", "ipamconfigurations", "ipreservations")
	expectRefusal(t, p, refusal{
		name:    "no IPAM kinds",
		changes: map[string]any{"calico_api_group": "projectcalico.org/v3", "ipam.assign_ipv6": "false"},
		code:    11,
		says:    []string{"API not served", "apply the CustomResourceDefinition of", " in projectcalico.org,"},
	})
}

// TestBothGroupsServed runs ADD and DEL with the configured group while the API server also serves the other one. It
// uses and changes nothing of the other group.
func TestBothGroupsServed(t *testing.T) {
	installed(t)
	if n.Datastore.Group == apiserver.V3 {
		t.Skip("this test needs a cluster with crd.projectcalico.org/v1")
	}
	p := newPod(t, "both-groups")
	plurals := []string{
		"ippools", "clusterinformations", "ipamconfigurations", "ipreservations", "ipamblocks", "blockaffinities",
		"ipamhandles",
	}
	// The annotations of a pod without addresses differ from those of a new pod.
	add(t, p, nil)
	del(t, p, nil)
	serveV3(t, plurals...)
	unchanged(t, "ADD and DEL", func() {
		for _, addr := range addrs(t, add(t, p, nil)) {
			if addr.String() >= "10.250.0.0" && addr.String() < "10.251.0.0" {
				t.Errorf("the address %s is of the pool of the other group", addr)
			}
		}
		del(t, p, nil)
	})
	for _, plural := range plurals[4:] {
		list, err := n.Server.Dynamic().Resource(apiserver.ResourceIn(apiserver.V3, plural)).List(t.Context(), metav1.ListOptions{})
		must(t, err)
		if len(list.Items) > 0 {
			t.Errorf("%d %s in the other group", len(list.Items), plural)
		}
	}
}
