// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// credentialsOf describes the credentials of a request as the server sees them.
func credentialsOf(r *http.Request) string {
	var who []string
	for name, values := range r.Header {
		if name == "Authorization" || strings.HasPrefix(name, "Impersonate") {
			who = append(who, name+": "+strings.Join(values, " "))
		}
	}
	slices.Sort(who)
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		who = append(who, "certificate: "+r.TLS.PeerCertificates[0].Subject.CommonName)
	}
	return strings.Join(who, ", ")
}

func TestRequestCredentials(t *testing.T) {
	var got string
	s := listen(t, func(_ http.ResponseWriter, r *http.Request) { got = credentialsOf(r) })
	cert, key := certificate(t, "someone")
	dir := t.TempDir()
	certFile, keyFile := put(t, dir, "tls.crt", cert, 0o600), put(t, dir, "tls.key", key, 0o600)
	token := put(t, dir, "token", []byte("from-file\n"), 0o600)
	b64 := base64.StdEncoding.EncodeToString
	for name, c := range map[string]struct{ user, want string }{
		"token":                {"token: a.b", "Authorization: Bearer a.b"},
		"token file":           {"tokenFile: " + token, "Authorization: Bearer from-file"},
		"token file and token": {"token: old, tokenFile: " + token, "Authorization: Bearer from-file"},
		"password":             {"username: u, password: p", "Authorization: Basic " + b64([]byte("u:p"))},
		"certificate": {
			fmt.Sprintf("client-certificate-data: %s, client-key-data: %s", b64(cert), b64(key)),
			"certificate: someone",
		},
		"certificate files": {
			fmt.Sprintf("client-certificate: %s, client-key: %s", certFile, keyFile),
			"certificate: someone",
		},
		"certificate, key file": {
			fmt.Sprintf("client-certificate-data: %s, client-key: %s, token: t", b64(cert), keyFile),
			"Authorization: Bearer t, certificate: someone",
		},
		"impersonation": {
			"token: t, as: jane, as-uid: '7', as-groups: [a, b], as-user-extra: {'example.org/why not': [x]}",
			"Authorization: Bearer t, Impersonate-Extra-Example.org%2Fwhy%20not: x, Impersonate-Group: a b, " +
				"Impersonate-Uid: 7, Impersonate-User: jane",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := loaded(t, trusting(s), c.user).Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got != strings.ReplaceAll(c.want, "Example.org%2Fwhy%20not",
				http.CanonicalHeaderKey("example.org%2Fwhy%20not")) {
				t.Errorf("the server sees %q, want %q", got, c.want)
			}
		})
	}
}

func TestNoCredentialsOverPlainHTTP(t *testing.T) {
	var got string
	s := httptest.NewServer(api(func(_ http.ResponseWriter, r *http.Request) { got = credentialsOf(r) }))
	defer s.Close()
	for _, server := range []string{s.URL, strings.Replace(s.URL, "http", "HTTP", 1)} {
		for _, user := range []string{
			"token: t", "username: u, password: p",
			"exec: {command: /nowhere, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never}", "",
		} {
			c, err := Load(write(t, kubeconfig("server: '"+server+"'", user)), "test")
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Ping(t.Context()); err != nil || got != "" {
				t.Errorf("%s: %v, and the server sees %q", user, err, got)
			}
		}
	}
}

func TestRenewedTokenFileIsUsed(t *testing.T) {
	var got string
	s := listen(t, func(_ http.ResponseWriter, r *http.Request) { got = credentialsOf(r) })
	file := put(t, t.TempDir(), "token", []byte("one"), 0o600)
	c := loaded(t, trusting(s), "tokenFile: "+file)
	for _, step := range []struct {
		change func() error
		want   string
	}{
		{func() error { return nil }, "one"},
		{func() error { return os.WriteFile(file, []byte("two\n"), 0o600) }, "two"},
		{func() error { return os.WriteFile(file, nil, 0o600) }, "two"},
		{func() error { return os.Remove(file) }, "two"},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		if err := c.Ping(t.Context()); err != nil || got != "Authorization: Bearer "+step.want {
			t.Errorf("%v, and the server sees %q, want %s", err, got, step.want)
		}
	}
}

func TestRenewedCertificateIsUsedForNextConnection(t *testing.T) {
	var got string
	s := listen(t, func(_ http.ResponseWriter, r *http.Request) { got = credentialsOf(r) })
	dir := t.TempDir()
	renew := func(name string) {
		cert, key := certificate(t, name)
		put(t, dir, "tls.crt", cert, 0o600)
		put(t, dir, "tls.key", key, 0o600)
	}
	renew("first")
	c := loaded(t, trusting(s), fmt.Sprintf("client-certificate: %s/tls.crt, client-key: %s/tls.key", dir, dir))
	renew("second")
	if err := c.Ping(t.Context()); err != nil || got != "certificate: second" {
		t.Errorf("%v, and the server sees %q", err, got)
	}
	c.Close()
	put(t, dir, "tls.key", []byte("half"), 0o600)
	if err := c.Ping(t.Context()); err != nil || got != "certificate: first" {
		t.Errorf("partially written: %v, and the server sees %q, want what was read when the client was made", err, got)
	}
}

func TestServerCertificateIsVerified(t *testing.T) {
	s := listen(t, func(http.ResponseWriter, *http.Request) {})
	for name, c := range map[string]struct {
		cluster string
		trusted bool
	}{
		"CA":                       {trusting(s), true},
		"no CA":                    {"server: '" + s.URL + "'", false},
		"no CA, not verified":      {"insecure-skip-tls-verify: true, server: '" + s.URL + "'", true},
		"CA, one of its names":     {trusting(s) + ", tls-server-name: example.com", true},
		"CA, none of its names":    {trusting(s) + ", tls-server-name: other.invalid", false},
		"CA beside its kubeconfig": {"certificate-authority: ca.crt, server: '" + s.URL + "'", true},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, kubeconfig(c.cluster, "token: t"))
			put(t, filepath.Dir(file), "ca.crt", caOf(s), 0o600)
			client, err := Load(file, "test")
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if err := client.Ping(t.Context()); (err == nil) != c.trusted {
				t.Errorf("%v, want it trusted: %t", err, c.trusted)
			}
		})
	}
}

func TestExpiresOfClientCertificate(t *testing.T) {
	cert, key := certificate(t, "someone")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	c := loaded(t, "server: 'https://h'", fmt.Sprintf("client-certificate-data: %s, client-key-data: %s", b64(cert),
		b64(key)))
	if got := c.Expires(); !got.Equal(pair.Leaf.NotAfter) {
		t.Errorf("expires %v, want %v", got, pair.Leaf.NotAfter)
	}
}

func TestPodClientUsesServiceAccount(t *testing.T) {
	var got string
	s := listen(t, func(_ http.ResponseWriter, r *http.Request) { got = credentialsOf(r) })
	mount := t.TempDir()
	put(t, mount, "ca.crt", caOf(s), 0o600)
	put(t, mount, "token", []byte("pods"), 0o600)
	host, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
	c, err := podClient(mount, host, port, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Ping(t.Context()); err != nil || got != "Authorization: Bearer pods" {
		t.Errorf("%v, and the server sees %q", err, got)
	}
	if c, err := podClient(mount, "fd00::1", "443", "test"); err != nil || c.Host() != "https://[fd00::1]:443" {
		t.Errorf("IPv6: %v, %v", c, err)
	}
	for _, where := range [][3]string{{mount, "", "443"}, {mount, "", ""}, {t.TempDir(), "h", "443"}} {
		if _, err := podClient(where[0], where[1], where[2], "test"); err == nil {
			t.Errorf("%q: no error", where)
		} else {
			says(t, err, "unusable kubeconfig", "service account", "set KUBECONFIG when not run in a pod")
		}
	}
}
