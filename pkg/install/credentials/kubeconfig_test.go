// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServerURL(t *testing.T) {
	for _, tt := range []struct{ protocol, host, port, want string }{
		{"https", "10.96.0.1", "443", "https://10.96.0.1:443"},
		{"https", "fd00::1", "6443", "https://[fd00::1]:6443"},
		{"https", "[fd00::1]", "443", "https://[fd00::1]:443"},
		{"https", "[10.96.0.1]", "443", "https://10.96.0.1:443"},
		{"http", "api.example", "80", "http://api.example:80"},
	} {
		s := Server{Protocol: tt.protocol, Host: tt.host, Port: tt.port}
		if got := s.URL(); got != tt.want {
			t.Errorf("server of %+v = %s", tt, got)
		}
	}
}

func TestKubeconfig(t *testing.T) {
	const head = "# Written by install for the CNI plugins, which read it for every pod. " +
		"Changes are lost when it runs again.\napiVersion: v1\nclusters:\n- cluster:\n"
	const tail = `    server: https://[fd00::1]:443
  name: local
contexts:
- context:
    cluster: local
    user: calico
  name: calico-context
current-context: calico-context
kind: Config
users:
- name: calico
  user:
    token: T
`
	for _, tt := range []struct {
		skip bool
		want string
	}{
		{false, head + "    certificate-authority-data: UEVN\n" + tail},
		{true, head + "    insecure-skip-tls-verify: true\n" + tail},
	} {
		s := Server{Protocol: "https", Host: "fd00::1", Port: "443", SkipTLSVerify: tt.skip, ServiceAccountDir: t.TempDir()}
		ca, err := s.CertificateAuthority()
		if tt.skip == (err != nil) || ca != nil {
			t.Errorf("certificate authority of an empty directory = %s, %v", ca, err)
		}
		if !tt.skip {
			ca = []byte("PEM")
		}
		got, err := s.Kubeconfig(ca, "T")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, string(got)); diff != "" {
			t.Errorf("kubeconfig (-want +got):\n%s", diff)
		}
	}
}

func TestCertificateAuthorityMustBePEM(t *testing.T) {
	s := Server{Protocol: "https", ServiceAccountDir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(s.ServiceAccountDir, "ca.crt"), []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CertificateAuthority(); err == nil || !strings.Contains(err.Error(), "no certificate in PEM") {
		t.Errorf("CertificateAuthority = %v", err)
	}
}
