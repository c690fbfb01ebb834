// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"calico-cni/test/chart"
	"calico-cni/test/node"
)

// TestInitContainerOfManifestInstallsWorkingNode renders the chart, runs install with exactly the environment and the
// mounts of its init container, and attaches a pod with the result.
func TestInitContainerOfManifestInstallsWorkingNode(t *testing.T) {
	p := newPod(t, "by-manifest")
	host := t.TempDir()
	binDir, netDir := filepath.Join(host, "bin"), filepath.Join(host, "net.d")
	manifest, err := chart.Render(filepath.Join("..", "..", "deploy", "chart"), map[string]any{
		"host": map[string]any{"binDir": binDir, "netDir": netDir},
		"ipam": map[string]any{"assignIPv6": true},
	})
	must(t, err)
	var ds appsv1.DaemonSet
	var config corev1.ConfigMap
	decode(t, manifest, "DaemonSet", &ds)
	decode(t, manifest, "ConfigMap", &config)
	spec := ds.Spec.Template.Spec
	root := mount(t, spec, spec.InitContainers[0])
	api := strings.Split(strings.TrimPrefix(n.Server.URL(), "https://"), ":")
	cmd := exec.CommandContext(t.Context(), filepath.Join(n.Tools, "install"))
	// The kubelet sets these for every container. The image and the host have other paths without a container.
	cmd.Env = append(environment(t, spec.InitContainers[0], config.Data),
		"KUBERNETES_SERVICE_HOST="+api[0], "KUBERNETES_SERVICE_PORT="+api[1], "CNI_HOST_ROOT="+root,
		"CNI_BIN_SOURCE="+filepath.Join(n.Root, "image"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("install: %v\n%s", err, out)
	}

	list, err := libcni.LoadNetworkConf(netDir, node.Network)
	must(t, err)
	runtime := libcni.NewCNIConfigWithCacheDir([]string{binDir}, t.TempDir(), nil)
	args := &libcni.RuntimeConf{ContainerID: p.ContainerID, NetNS: p.NetNS, IfName: "eth0", Args: [][2]string{
		{"IgnoreUnknown", "1"}, {"K8S_POD_NAMESPACE", "default"}, {"K8S_POD_NAME", p.Name},
	}}
	result, err := runtime.AddNetworkList(t.Context(), list, args)
	must(t, err)
	data, err := json.Marshal(result)
	must(t, err)
	if text := string(data); !strings.Contains(text, "10.244.") || !strings.Contains(text, "fd00:10:244:") {
		t.Errorf("want an address of each family for the pod: %s", text)
	}
	must(t, runtime.DelNetworkList(t.Context(), list, args))
}

// decode finds the first object of a kind in a manifest and decodes it.
func decode(t *testing.T, manifest, kind string, into any) {
	t.Helper()
	for document := range strings.SplitSeq(manifest, "---\n") {
		if strings.Contains("\n"+document, "\nkind: "+kind+"\n") {
			must(t, yaml.UnmarshalStrict([]byte(document), into))
			return
		}
	}
	t.Fatalf("no %s in the manifest", kind)
}

// environment returns a container's environment as the kubelet sets it.
func environment(t *testing.T, c corev1.Container, config map[string]string) []string {
	t.Helper()
	var out []string
	for _, e := range c.Env {
		value := e.Value
		switch from := e.ValueFrom; {
		case from == nil:
		case from.FieldRef != nil && from.FieldRef.FieldPath == "spec.nodeName":
			value = node.Name
		case from.ConfigMapKeyRef != nil && from.ConfigMapKeyRef.Name == "calico-cni-config":
			value = config[from.ConfigMapKeyRef.Key]
		default:
			t.Fatalf("variable %s comes from %+v", e.Name, from)
		}
		out = append(out, e.Name+"="+value)
	}
	return out
}

// mount creates a container's directory /host, with links instead of mounts, and the host directories that the kubelet
// creates.
func mount(t *testing.T, spec corev1.PodSpec, c corev1.Container) string {
	t.Helper()
	root := t.TempDir()
	for _, m := range c.VolumeMounts {
		for _, v := range spec.Volumes {
			if v.Name != m.Name {
				continue
			}
			path := filepath.Join(root, strings.TrimPrefix(m.MountPath, "/host/"))
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			must(t, os.MkdirAll(v.HostPath.Path, 0o755))
			must(t, os.Symlink(v.HostPath.Path, path))
		}
	}
	return root
}
