// SPDX-License-Identifier: Apache-2.0

package kubeclient_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"calico-cni/pkg/kube"
	"calico-cni/pkg/kubeapi"
)

func TestLoadAcceptsValidKubeconfig(t *testing.T) {
	s := cluster(t)
	client := admin(t, s)
	if client.Host() != s.URL() {
		t.Errorf("host is %s, want %s", client.Host(), s.URL())
	}
	if _, err := kubeapi.Namespace(t.Context(), client, "default"); err != nil {
		t.Error(err)
	}
}

func TestLoadReadsReferencedFiles(t *testing.T) {
	s := cluster(t)
	var ca, cert, key []byte
	file := kubeconfig(t, s, func(c *clientcmdapi.Cluster, u *clientcmdapi.AuthInfo) {
		ca, cert, key = c.CertificateAuthorityData, u.ClientCertificateData, u.ClientKeyData
		c.CertificateAuthorityData, u.ClientCertificateData, u.ClientKeyData = nil, nil, nil
		c.CertificateAuthority, u.ClientCertificate, u.ClientKey = "ca.crt", "tls.crt", "tls.key"
	})
	for name, data := range map[string][]byte{"ca.crt": ca, "tls.crt": cert, "tls.key": key} {
		if len(data) == 0 {
			t.Fatalf("the administrator's kubeconfig has no data for %s", name)
		}
		do(t, os.WriteFile(filepath.Join(filepath.Dir(file), name), data, 0o600))
	}
	client := load(t, file)
	if _, err := kubeapi.Namespace(t.Context(), client, "default"); err != nil {
		t.Error(err)
	}
}

func TestLoadErrorNamesKubeconfigAndRemedy(t *testing.T) {
	const token = "hunter2-7c0ffee5"
	for name, content := range map[string]string{
		"garbage":       "\x00\x01" + token,
		"no YAML":       "users: [" + token,
		"no kubeconfig": "- " + token,
		"empty":         "",
		"no context":    "{apiVersion: v1, kind: Config, users: [{name: a, user: {token: " + token + "}}]}",
		"unknown cluster": "{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: " +
			"{cluster: a, user: a}}], users: [{name: a, user: {token: " + token + "}}]}",
		"broken CA": "{apiVersion: v1, kind: Config, clusters: [{name: a, cluster: {server: x, " +
			"certificate-authority-data: " + token + "}}]}",
		"token of no text": "{apiVersion: v1, kind: Config, users: [{name: a, user: {token: [" + token + "]}}]}",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "kubeconfig")
			do(t, os.WriteFile(file, []byte(content), 0o600))
			_, err := kube.Load(file, userAgent)
			wantError(t, name, err, kube.ErrKubeconfig, file, "install container")
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("%q contains the token", err)
			}
		})
	}
	file := filepath.Join(t.TempDir(), kube.InstalledName)
	_, err := kube.Load(file, userAgent)
	wantError(t, "missing", err, kube.ErrKubeconfig, file, "install container")
	wantError(t, "missing", err, fs.ErrNotExist)
}
