// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"calico-cni/conflist"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/netconf"
	"calico-cni/test/apiserver"
)

// objects decodes a manifest.
func objects(t testing.TB, manifest string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifest), 4<<10); ; {
		o := new(unstructured.Unstructured)
		switch err := decoder.Decode(&o.Object); {
		case errors.Is(err, io.EOF):
			return out
		case err != nil:
			t.Fatal(err)
		case len(o.Object) > 0:
			out = append(out, o)
		}
	}
}

// find decodes the object of a kind and name.
func find[T any](t testing.TB, manifest, kind, name string) *T {
	t.Helper()
	for _, o := range objects(t, manifest) {
		if o.GetKind() != kind || o.GetName() != name {
			continue
		}
		typed := new(T)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, typed, true); err != nil {
			t.Fatal(err)
		}
		return typed
	}
	t.Fatalf("the manifest has no %s %s", kind, name)
	return nil
}

// apply applies a manifest like `kubectl apply --server-side --validate=strict`, and returns the resulting objects.
func apply(t testing.TB, s *apiserver.Server, manifest string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for _, o := range objects(t, manifest) {
		data := must(json.Marshal(o))(t)
		options := metav1.PatchOptions{
			FieldManager: "test", Force: new(true), FieldValidation: metav1.FieldValidationStrict,
		}
		got, err := clientOf(t, s, o).Patch(t.Context(), o.GetName(), "application/apply-patch+yaml", data, options)
		if err != nil {
			t.Fatalf("apply %s %s: %v", o.GetKind(), o.GetName(), err)
		}
		if o.GetKind() == "CustomResourceDefinition" {
			// The server changes its status.
			continue
		}
		out = append(out, got)
	}
	return out
}

// clientOf returns a client for the resource of an object.
func clientOf(t testing.TB, s *apiserver.Server, o *unstructured.Unstructured) dynamic.ResourceInterface {
	t.Helper()
	groups := must(restmapper.GetAPIGroupResources(s.Client().Discovery()))(t)
	gvk := o.GroupVersionKind()
	mapping := must(restmapper.NewDiscoveryRESTMapper(groups).RESTMapping(gvk.GroupKind(), gvk.Version))(t)
	if o.GetNamespace() != "" {
		return s.Dynamic().Resource(mapping.Resource).Namespace(o.GetNamespace())
	}
	return s.Dynamic().Resource(mapping.Resource)
}

// TestDeletingManifestKeepsAllocations deletes the objects of every manifest except that of the CRDs.
func TestDeletingManifestKeepsAllocations(t *testing.T) {
	s := apiserver.ForTest(t)
	_ = s.Admin().CreateNamespace(t.Context(), Namespace)
	if err := s.Admin().ApplyCRDs(t.Context(), os.DirFS(filepath.Join(chartDir, "crds"))); err != nil {
		t.Fatal(err)
	}
	kept := objects(t, `
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: kept}
spec: {cidr: 10.9.0.0/16}
---
apiVersion: projectcalico.org/v3
kind: IPAMHandle
metadata: {name: kept}
spec: {handleID: kept, block: {10.9.0.0/26: 1}}
`)
	before := map[string]string{}
	for _, o := range kept {
		created := must(clientOf(t, s, o).Create(t.Context(), o, metav1.CreateOptions{}))(t)
		before[o.GetKind()] = string(created.GetUID())
	}
	for path, manifest := range must(Manifests(deployDir))(t) {
		if path == crdsPath || path == crdsV1Path {
			continue
		}
		apply(t, s, manifest)
		for _, o := range objects(t, manifest) {
			if err := clientOf(t, s, o).Delete(t.Context(), o.GetName(), metav1.DeleteOptions{}); err != nil {
				t.Errorf("%s: delete %s %s: %v", path, o.GetKind(), o.GetName(), err)
			}
		}
	}
	for _, o := range kept {
		got, err := clientOf(t, s, o).Get(t.Context(), o.GetName(), metav1.GetOptions{})
		if err != nil || string(got.GetUID()) != before[o.GetKind()] || got.GetDeletionTimestamp() != nil {
			t.Errorf("%s: %v, %v", o.GetKind(), got, err)
		}
		if err := clientOf(t, s, o).Delete(t.Context(), o.GetName(), metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}
}

// everything sets all optional values.
const everything = `
image: {digest: "sha256:` + digest + `"}
imagePullSecrets: [{name: pull}]
host: {secondaryBinDir: /home/cni/bin}
cni: {oldConfName: 10-old.conflist, bandwidth: true, allowIPForwarding: true, skipBinaries: [tuning], mtu: 1400}
ipam: {assignIPv6: true}
ipPools: [{name: four, cidr: 10.244.0.0/16, blockSize: 26, nodeSelector: all()}, {name: six, cidr: "fd00:10::/64"}]
apiServer: {host: 192.0.2.1, port: 6443}
cleanupOnExit: true
tolerations: []
`

func TestApplyingManifestTwiceChangesNothing(t *testing.T) {
	s := apiserver.ForTest(t)
	_ = s.Admin().CreateNamespace(t.Context(), Namespace) // another test may have created it
	if err := s.Admin().ApplyCRDs(t.Context(), os.DirFS(filepath.Join(chartDir, "crds"))); err != nil {
		t.Fatal(err)
	}
	manifests := must(Manifests(deployDir))(t)
	var values map[string]any
	if err := yaml.Unmarshal([]byte(everything), &values); err != nil {
		t.Fatal(err)
	}
	manifests["everything"] = must(Render(chartDir, values))(t)
	apply(t, s, manifests[crdsPath])
	for name, manifest := range manifests {
		if name == crdsPath || name == crdsV1Path {
			continue
		}
		t.Run(name, func(t *testing.T) {
			first, second := apply(t, s, manifest), apply(t, s, manifest)
			for i := range first {
				if first[i].GetResourceVersion() != second[i].GetResourceVersion() {
					t.Errorf("applying %s %s again changes it", first[i].GetKind(), first[i].GetName())
				}
			}
			ds := find[appsv1.DaemonSet](t, manifest, "DaemonSet", "calico-cni")
			pod := &corev1.Pod{ObjectMeta: ds.Spec.Template.ObjectMeta, Spec: ds.Spec.Template.Spec}
			pod.GenerateName = "calico-cni-"
			dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
			if _, err := s.Client().CoreV1().Pods(Namespace).Create(t.Context(), pod, dryRun); err != nil {
				t.Error("create a pod of the DaemonSet:", err)
			}
		})
	}
	t.Run("rights", func(t *testing.T) { wantRights(t, s) })
}

// wantRights checks the rights of the service accounts after the manifest is applied.
func wantRights(t *testing.T, s *apiserver.Server) {
	const crds = "projectcalico.org"
	for _, tt := range []struct {
		account, verb, group, resource, namespace, name string
		want                                            bool
	}{
		{"calico-cni-install", "create", "", "serviceaccounts/token", Namespace, "calico-cni-plugin", true},
		{"calico-cni-install", "create", "", "serviceaccounts/token", Namespace, "calico-cni-install", false},
		{"calico-cni-install", "create", "", "serviceaccounts/token", "default", "calico-cni-plugin", false},
		{"calico-cni-install", "get", "", "pods", "default", "", false},
		{"calico-cni-plugin", "get", "", "pods", "default", "some", true},
		{"calico-cni-plugin", "list", "", "pods", "default", "", false},
		{"calico-cni-plugin", "patch", "", "pods/status", "default", "some", true},
		{"calico-cni-plugin", "patch", "", "pods", "default", "some", false},
		{"calico-cni-plugin", "create", "", "serviceaccounts/token", Namespace, "calico-cni-plugin", false},
		{"calico-cni-plugin", "get", "", "secrets", Namespace, "some", false},
		{"calico-cni-plugin", "update", crds, "ipamblocks", "", "some", true},
		{"calico-cni-plugin", "update", crds, "ippools", "", "some", false},
		{"calico-cni-plugin", "delete", crds, "ippools", "", "some", false},
		{"calico-cni-plugin", "update", crds, "clusterinformations", "", "default", false},
	} {
		resource, sub, _ := strings.Cut(tt.resource, "/")
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + Namespace + ":" + tt.account,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: tt.verb, Group: tt.group, Resource: resource, Subresource: sub, Namespace: tt.namespace,
				Name: tt.name,
			},
		}}
		reviews := s.Client().AuthorizationV1().SubjectAccessReviews()
		got := must(reviews.Create(t.Context(), review, metav1.CreateOptions{}))(t).Status.Allowed
		if got != tt.want {
			t.Errorf("%s may %s %s %s in %q: %v, want %v", tt.account, tt.verb, tt.resource, tt.name, tt.namespace, got,
				tt.want)
		}
	}
}

func TestInstallerAndPluginAcceptConfigMap(t *testing.T) {
	for name, tt := range map[string]struct{ values, plugins, mtu string }{
		"default":  {"", "calico portmap", "0"},
		"bare":     {"cni.portmap=false", "calico", "0"},
		"chained":  {"cni.bandwidth=true", "calico portmap bandwidth", "0"},
		"with MTU": {"cni.mtu=1400", "calico portmap", "1400"},
		"k3s":      {"cni.allowIPForwarding=true", "calico portmap", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			manifest := must(Render(chartDir, set(t, tt.values)))(t)
			data := find[corev1.ConfigMap](t, manifest, "ConfigMap", "calico-cni-config").Data
			if data["veth_mtu"] != tt.mtu {
				t.Errorf("veth_mtu is %q, want %q", data["veth_mtu"], tt.mtu)
			}
			rendered := must(conflist.Render("10-calico.conflist", data["cni_network_config"], conflist.Values{
				NodeName: "worker-1", Kubeconfig: "/etc/cni/net.d/calico-kubeconfig", MTU: 1400, LogLevel: "info",
				LogFilePath: "/l", DatastoreType: "kubernetes",
			}))(t)
			list := must(conflist.Load("10-calico.conflist", rendered))(t)
			var types []string
			for _, p := range list.Plugins {
				types = append(types, p.Network.Type)
			}
			if got := strings.Join(types, " "); got != tt.plugins {
				t.Errorf("plugins %s, want %s", got, tt.plugins)
			}
			conf := must(netconf.Parse(must(json.Marshal(withName(t, list.Plugins[0].Bytes)))(t)))(t)
			if conf.Nodename != "worker-1" || conf.MTU != 1400 || conf.Kubernetes.Kubeconfig == "" ||
				conf.ContainerSettings.AllowIPForwarding != (name == "k3s") {
				t.Errorf("the plugin reads %+v", conf)
			}
		})
	}
}

// withName adds the fields that a runtime adds to a plugin of a list.
func withName(t testing.TB, plugin []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(plugin, &m); err != nil {
		t.Fatal(err)
	}
	m["name"], m["cniVersion"] = conflist.Name, conflist.CNIVersion
	return m
}

func TestInstallerKnowsSettingsOfContainers(t *testing.T) {
	var values map[string]any
	if err := yaml.Unmarshal([]byte(everything), &values); err != nil {
		t.Fatal(err)
	}
	spec := find[appsv1.DaemonSet](t, must(Render(chartDir, values))(t), "DaemonSet", "calico-cni").Spec.Template.Spec
	usage := config.Usage()
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		if len(c.Env) < 15 {
			t.Errorf("container %s has only these settings: %v", c.Name, c.Env)
		}
		for _, e := range c.Env {
			if !strings.Contains(usage, "["+e.Name+"]") {
				t.Errorf("install does not know %s", e.Name)
			}
		}
		for _, a := range c.Args {
			flag, _, _ := strings.Cut(a, "=")
			if !regexp.MustCompile(`\s` + flag + `\s`).MatchString(usage) {
				t.Errorf("install does not know %s", flag)
			}
		}
	}
}

// TestContainersHaveOneCapability checks the security context and the mounts of the containers.
func TestContainersHaveOneCapability(t *testing.T) {
	spec := find[appsv1.DaemonSet](t, must(Render(chartDir, nil))(t), "DaemonSet", "calico-cni").Spec.Template.Spec
	got := []string{string(spec.SecurityContext.SeccompProfile.Type), spec.PriorityClassName}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		data := must(json.Marshal(c.SecurityContext))(t)
		var mounts []string
		for _, m := range c.VolumeMounts {
			mounts = append(mounts, m.MountPath)
		}
		got = append(got, c.Name+" "+string(data)+" "+strings.Join(mounts, " "))
	}
	const context = ` {"capabilities":{"add":["DAC_OVERRIDE"],"drop":["ALL"]},"privileged":false,` +
		`"seLinuxOptions":{"type":"spc_t","level":"s0"},"runAsUser":0,"runAsGroup":0,"readOnlyRootFilesystem":true,` +
		`"allowPrivilegeEscalation":false} /host/opt/cni/bin /host/etc/cni/net.d`
	want := []string{
		"RuntimeDefault", "system-node-critical", "install" + context,
		"watch" + context + " /host/var/lib/calico /host/var/run/calico",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMigrationRunsFirstWithRightsOfPlugins checks that the migration from host-local is optional, and runs before the
// plugins are configured.
func TestMigrationRunsFirstWithRightsOfPlugins(t *testing.T) {
	for _, on := range []bool{false, true} {
		manifest := must(Render(chartDir, set(t, fmt.Sprint("upgradeIPAM=", on))))(t)
		spec := find[appsv1.DaemonSet](t, manifest, "DaemonSet", "calico-cni").Spec.Template.Spec
		var names, subjects []string
		for _, c := range spec.InitContainers {
			names = append(names, c.Name)
		}
		binding := find[rbacv1.ClusterRoleBinding](t, manifest, "ClusterRoleBinding", "calico-cni-plugin")
		for _, s := range binding.Subjects {
			subjects = append(subjects, s.Name)
		}
		got, want := fmt.Sprint(names, subjects), "[install] [calico-cni-plugin]"
		if on {
			first := spec.InitContainers[0]
			got += fmt.Sprint(first.Command, first.Env[0].Name)
			for _, m := range first.VolumeMounts {
				got += m.MountPath
			}
			// The first mount has the leases of host-local, the second the node's records of borrowed blocks.
			want = "[upgrade-ipam install] [calico-cni-plugin calico-cni-install][/opt/cni/bin/calico-ipam -upgrade]" +
				"KUBERNETES_NODE_NAME/var/lib/cni/var/lib/calico"
		}
		if got != want {
			t.Errorf("upgradeIPAM=%v: %s\nwant: %s", on, got, want)
		}
	}
}
