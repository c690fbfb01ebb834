// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"calico-cni/test/apiserver"
)

const migrationGroup = "migration.projectcalico.org"

// migrationCRD defines the object in which Calico's controllers report a migration, as far as install reads it.
const migrationCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: datastoremigrations.migration.projectcalico.org}
spec:
  group: migration.projectcalico.org
  scope: Cluster
  names: {kind: DatastoreMigration, plural: datastoremigrations}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// findMigration lets install find a cluster whose objects were copied to projectcalico.org/v3.
func findMigration(t *testing.T, kubeconfig, _ string) string {
	ctx := t.Context()
	pools, err := os.ReadFile(filepath.Join("..", "..", "deploy", "crds", "v3", "projectcalico.org_ippools.yaml"))
	must(t, err)
	must(t, n.Server.Admin().ApplyCRDs(ctx, fstest.MapFS{
		"pools.yaml": {Data: pools}, "migrations.yaml": {Data: []byte(migrationCRD)},
	}))
	defer removeGroups(t, "ippools")
	migration := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": migrationGroup + "/v1", "kind": "DatastoreMigration", "metadata": map[string]any{"name": "v1-to-v3"},
		"status": map[string]any{"phase": "Converged"},
	}}
	migrations := n.Server.Dynamic().Resource(apiserver.ResourceIn(migrationGroup+"/v1", "datastoremigrations"))
	_, err = migrations.Create(ctx, migration, metav1.CreateOptions{})
	must(t, err)

	cmd, err := n.Installer(ctx, "CNI_ASSIGN_IPV6=true", "KUBECONFIG="+kubeconfig)
	must(t, err)
	cmd.Args = append(cmd.Args, "--dry-run")
	out, _ := cmd.CombinedOutput()
	if strings.Contains(string(out), `+      "calico_api_group": "projectcalico.org/v3"`) {
		return ""
	}
	return strings.ReplaceAll(string(out), `\"`, `"`)
}

// removeGroups deletes the CustomResourceDefinitions of migrations and of kinds of projectcalico.org/v3, and waits until
// their groups are not served.
func removeGroups(t *testing.T, plurals ...string) {
	ctx := context.WithoutCancel(t.Context())
	crds := n.Server.Dynamic().Resource(schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	})
	must(t, crds.Delete(ctx, "datastoremigrations."+migrationGroup, metav1.DeleteOptions{}))
	for _, plural := range plurals {
		must(t, crds.Delete(ctx, plural+".projectcalico.org", metav1.DeleteOptions{}))
	}
	for range 300 {
		groups, err := n.Server.Client().Discovery().ServerGroups()
		must(t, err)
		served := false
		for _, g := range groups.Groups {
			served = served || g.Name == migrationGroup || g.Name == "projectcalico.org"
		}
		if !served {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the API groups are still served")
}
