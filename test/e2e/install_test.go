// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/containernetworking/cni/libcni"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"calico-cni/test/node"
)

// inode identifies a file and its last change.
func inode(t *testing.T, path string) [3]int64 {
	t.Helper()
	var s syscall.Stat_t
	must(t, syscall.Stat(path, &s))
	return [3]int64{int64(s.Ino), s.Mtim.Sec, s.Mtim.Nsec}
}

func TestInstalledTokenHasMinimalRights(t *testing.T) {
	installed(t)
	info, err := os.Stat(n.Kubeconfig())
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig has the mode %v", info.Mode())
	}
	config, err := clientcmd.BuildConfigFromFlags("", n.Kubeconfig())
	must(t, err)
	client, err := kubernetes.NewForConfig(config)
	must(t, err)
	who, err := client.CoreV1().ServiceAccounts("kube-system").Get(t.Context(), "calico-cni-plugin",
		metav1.GetOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(),
		"system:serviceaccount:kube-system:calico-cni-plugin") {
		t.Errorf("got %v, %v; want to be forbidden as the plugins' service account", who, err)
	}
	for _, write := range []string{"ippools", "ipamconfigs", "clusterinformations", "ipreservations"} {
		result := client.RESTClient().Delete().AbsPath("/apis/"+n.Datastore.Group+"/"+write, "some").Do(t.Context())
		if !apierrors.IsForbidden(result.Error()) {
			t.Errorf("delete %s: %v, want forbidden", write, result.Error())
		}
	}
}

func TestRepeatedInstallKeepsFilesAndLogsNoToken(t *testing.T) {
	installed(t)
	stable := []string{
		filepath.Join(n.BinDir(), "calico"), filepath.Join(n.BinDir(), "calico-ipam"),
		filepath.Join(n.NetDir(), "10-calico.conflist"),
	}
	before := map[string][3]int64{}
	for _, path := range stable {
		before[path] = inode(t, path)
	}
	log, err := n.Install(t.Context(), "CNI_ASSIGN_IPV6=true")
	must(t, err)
	for _, path := range stable {
		if inode(t, path) != before[path] {
			t.Errorf("%s was written again", path)
		}
	}
	config, err := clientcmd.LoadFromFile(n.Kubeconfig())
	must(t, err)
	for _, user := range config.AuthInfos {
		if user.Token == "" || strings.Contains(log, user.Token) {
			t.Errorf("token %q is in the log, or empty:\n%s", user.Token, log)
		}
	}
}

func TestRuntimeUsesInstalledConfiguration(t *testing.T) {
	p := newPod(t, "by-libcni")
	list, err := libcni.LoadNetworkConf(n.NetDir(), node.Network)
	must(t, err)
	runtime := libcni.NewCNIConfigWithCacheDir([]string{n.BinDir()}, t.TempDir(), nil)
	args := &libcni.RuntimeConf{ContainerID: p.ContainerID, NetNS: p.NetNS, IfName: "eth0", Args: [][2]string{
		{"IgnoreUnknown", "1"}, {"K8S_POD_NAMESPACE", "default"}, {"K8S_POD_NAME", p.Name},
	}}
	result, err := runtime.AddNetworkList(t.Context(), list, args)
	must(t, err)
	data, err := json.Marshal(result)
	must(t, err)
	if !strings.Contains(string(data), `"cniVersion":"1.0.0"`) || !strings.Contains(string(data), "10.244.") {
		t.Errorf("result: %s", data)
	}
	must(t, runtime.DelNetworkList(t.Context(), list, args))
}
