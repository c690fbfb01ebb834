// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestParseServerForms covers the forms in which KUBERNETES_SERVICE_HOST gets into the server of a kubeconfig or into
// k8s_api_root: with and without brackets, as an address of either family or as a name.
func TestParseServerForms(t *testing.T) {
	for server, want := range map[string]string{
		"https://10.96.0.1:443":                      "https://10.96.0.1:443",
		"https://[10.96.0.1]:443":                    "https://10.96.0.1:443",
		"https://[10.96.0.1]":                        "https://10.96.0.1",
		"https://[api.example.com]:6443":             "https://api.example.com:6443",
		"https://[localhost]:6443/path":              "https://localhost:6443/path",
		"https://[fd00::1]:443":                      "https://[fd00::1]:443",
		"https://[[fd00::1]]:443":                    "https://[fd00::1]:443",
		"https://[FD00::1]:443":                      "https://[fd00::1]:443",
		"https://[fd00:0:0:0:0:0:0:1]:443":           "https://[fd00::1]:443",
		"https://[::ffff:10.96.0.1]:443":             "https://[::ffff:10.96.0.1]:443",
		"https://[fe80::1%eth0]:6443":                "https://[fe80::1%25eth0]:6443",
		"https://[fe80::1%25eth0]:6443":              "https://[fe80::1%25eth0]:6443",
		"https://kubernetes.default.svc.:443":        "https://kubernetes.default.svc.:443",
		"HTTPS://API.Example.COM:6443":               "https://API.Example.COM:6443",
		"https://api_server:6443":                    "https://api_server:6443",
		"https://h:":                                 "https://h:",
		"https://u:p%40ss@[10.96.0.1]:443":           "https://u:p%40ss@10.96.0.1:443",
		"https://[10.96.0.1]:443?a=b":                "https://10.96.0.1:443",
		"https://[10.96.0.1]:443#a":                  "https://10.96.0.1:443",
		"http://[127.0.0.1]:8080":                    "http://127.0.0.1:8080",
		"[127.0.0.1]:8080":                           "http://127.0.0.1:8080",
		"[::1]:8080":                                 "http://[::1]:8080",
		"https://[fd00::1":                           "",
		"https://fd00::1":                            "",
		"https://fd00::1:443":                        "",
		"https://[fd00::g]:443":                      "",
		"https://[10.96.0.1]443":                     "",
		"https://[10.96.0.1]:0":                      "",
		"https://[10.96.0.1]:65536":                  "",
		"https://10.96.0.1:https":                    "",
		"https://10.96.0.1:443 ":                     "",
		"https://[]:443":                             "",
		"https://:443":                               "",
		"https:10.96.0.1":                            "",
		"https://10.96.0.1\n":                        "",
		"https://__KUBERNETES_SERVICE_HOST__:__PORT": "",
	} {
		u, err := serverURL(server)
		got := ""
		if err == nil {
			got = u.String()
		} else if !errors.Is(err, errServer) {
			t.Errorf("%q: %v", server, err)
		}
		if got != want {
			t.Errorf("%q is parsed as %q (%v), want %q", server, got, err, want)
		}
	}
}

func FuzzServer(f *testing.F) {
	for _, server := range []string{
		"https://[10.96.0.1]:443", "h:8080", "https://u:p@[fd00::1%eth0]:6443/a?b#c",
		"[[::1]]:1",
	} {
		f.Add(server)
	}
	f.Fuzz(func(t *testing.T, server string) {
		u, err := serverURL(server)
		if err != nil {
			return
		}
		again, err := serverURL(u.String())
		if err != nil || again.String() != u.String() {
			t.Errorf("%q is parsed as %q, which is parsed as %v (%v)", server, u, again, err)
		}
	})
}

// TestKubeconfigsOfCalicoVersions makes a request with a kubeconfig in each layout that Calico's installer and node
// agent have written since v3.0.
func TestKubeconfigsOfCalicoVersions(t *testing.T) {
	var got string
	s := listen(t, func(_ http.ResponseWriter, r *http.Request) { got = credentialsOf(r) })
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	ca := base64.StdEncoding.EncodeToString(caOf(s))
	for name, c := range map[string]struct{ server, tls, token string }{
		"brackets, quoted token": {
			"https://[" + u.Hostname() + "]:" + u.Port(), "certificate-authority-data: " + ca,
			`"a.b.c"`,
		},
		"brackets, plain token": {
			"https://[" + u.Hostname() + "]:" + u.Port(), "certificate-authority-data: " + ca,
			"a.b.c",
		},
		"quoted CA": {"https://[" + u.Hostname() + "]:" + u.Port(), `certificate-authority-data: "` + ca +
			`"`, "a.b.c"},
		"no brackets": {"https://" + u.Host, "certificate-authority-data: " + ca, "a.b.c"},
		"not verified": {
			"https://[" + u.Hostname() + "]:" + u.Port(), "insecure-skip-tls-verify: true",
			"a.b.c",
		},
		"name of the service": {"https://[localhost]:" + u.Port(), "insecure-skip-tls-verify: true", "a.b.c"},
	} {
		t.Run(name, func(t *testing.T) {
			text := fmt.Sprintf("# Kubeconfig file for Calico CNI plugin.\napiVersion: v1\nkind: "+
				"Config\nclusters:\n- name: local\n  cluster:\n"+
				"    server: %s\n    %s\nusers:\n- name: calico\n  user:\n    token: %s\ncontexts:\n- name: "+
				"calico-context\n  context:\n"+
				"    cluster: local\n    user: calico\ncurrent-context: calico-context\n", c.server, c.tls, c.token)
			client, err := Load(write(t, text), "test")
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if err := client.Ping(t.Context()); err != nil || got != "Authorization: Bearer a.b.c" {
				t.Errorf("%v, and the server receives %q", err, got)
			}
		})
	}
}

// TestPodClientFindsServer covers the environments of pods that Kubernetes, or a ConfigMap
// kubernetes-services-endpoint, creates.
func TestPodClientFindsServer(t *testing.T) {
	mount := t.TempDir()
	put(t, mount, "ca.crt", caOf(listen(t, nil)), 0o600)
	put(t, mount, "token", []byte("t"), 0o600)
	for _, c := range []struct{ host, port, want string }{
		{"10.96.0.1", "443", "https://10.96.0.1:443"},
		{"[10.96.0.1]", "443", "https://10.96.0.1:443"},
		{"fd00::1", "443", "https://[fd00::1]:443"},
		{"[fd00::1]", "443", "https://[fd00::1]:443"},
		{"fe80::1%eth0", "443", "https://[fe80::1%25eth0]:443"},
		{"api.example.com.", "6443", "https://api.example.com.:6443"},
		{"10.96.0.1", "", "https://10.96.0.1:443"},
		{"fd00::1", "", "https://[fd00::1]:443"},
		{"https://10.96.0.1", "443", ""},
		{"10.96.0.1:443", "443", ""},
		{"10.96.0.1", "https", ""},
		{"10.96.0.1", "0", ""},
	} {
		client, err := podClient(mount, c.host, c.port, "test")
		switch {
		case c.want == "" && err == nil:
			t.Errorf("%s and %s give %s, want an error", c.host, c.port, client.Host())
		case c.want == "":
			says(t, err, "unusable kubeconfig", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")
		case err != nil:
			t.Errorf("%s and %s: %v", c.host, c.port, err)
		case client.Host() != c.want:
			t.Errorf("%s and %s give %s, want %s", c.host, c.port, client.Host(), c.want)
		}
	}
}

func TestCertificateNameOmitsZone(t *testing.T) {
	for server, want := range map[string]string{
		"https://[fe80::1%eth0]:6443": "fe80::1", "https://[fe80::1]:6443": "", "https://10.0.0.1": "", "https://h": "",
	} {
		u, err := serverURL(server)
		if err != nil {
			t.Fatal(err)
		}
		if got := certificateName(cluster{}, u); got != want {
			t.Errorf("%s: the name is %q, want %q", server, got, want)
		}
		if got := certificateName(cluster{ServerName: "other"}, u); got != "other" {
			t.Errorf("%s: the name is %q, want that of the kubeconfig", server, got)
		}
	}
}

func TestDirectErrorsNameFields(t *testing.T) {
	for _, d := range []Direct{
		{Server: ""},
		{Server: "https://h"},
		{Server: "10.0.0.1:443", Token: secret},
		{Server: "https://h", Token: " "},
		{Server: "https://h", Certificate: "/dev/null"},
	} {
		_, err := d.Client("test")
		if !errors.Is(err, ErrKubeconfig) {
			t.Errorf("%+v: %v, want ErrKubeconfig", d, err)
			continue
		}
		if checked := d.Check(); d.Certificate == "" && (checked == nil || checked.Error() != err.Error()) {
			t.Errorf("Check = %v, want %v", checked, err)
		}
		says(t, err, "the CNI configuration", "k8s_api_root", "k8s_auth_token")
		if strings.Contains(err.Error(), "install container") {
			t.Errorf("%q names the install container", err)
		}
	}
	if _, err := (Direct{Server: "https://[10.96.0.1]:443", Token: "t"}).Client("test"); err != nil {
		t.Error(err)
	}
}
