package kube

import (
	"encoding/base64"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRemediesSuitTheOriginOfTheCredentials: only the credentials that the install container writes are renewed by it.
func TestRemediesSuitTheOriginOfTheCredentials(t *testing.T) {
	s := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" {
			fail(w, http.StatusUnauthorized, "Unauthorized", "")
			return
		}
		fail(w, http.StatusForbidden, "Forbidden", "")
	})
	part := base64.RawURLEncoding.EncodeToString
	expired := part([]byte(`{}`)) + "." + part([]byte(`{"exp":1}`)) + "." + part([]byte("x"))
	file := write(t, kubeconfig(trusting(s), "token: "+expired))
	otherCA, _ := certificate(t, "other")
	untrusted := write(t, kubeconfig("server: '"+s.URL+"', certificate-authority-data: "+base64.StdEncoding.EncodeToString(otherCA), "token: t"))
	mount := t.TempDir()
	ca := put(t, mount, "ca.crt", caOf(s), 0o600)
	put(t, mount, "token", []byte(expired), 0o600)
	host, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
	for _, c := range []struct {
		source, remedy string
		load           func() (*Client, error)
	}{
		{"kubeconfig " + file, "the watching install container renews it", func() (*Client, error) { return Load(file, "test") }},
		{"kubeconfig " + file, "renew it there", func() (*Client, error) { return LoadSupplied(file, "test") }},
		{"the pod's service account", "the kubelet renews it", func() (*Client, error) { return inPod(mount, host, port, "test") }},
		{"the CNI configuration", "renew it there", func() (*Client, error) { return Direct{Server: s.URL, Token: expired, CA: ca}.Client("test") }},
	} {
		client, err := c.load()
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		for what, err := range map[string]error{"401": client.Ping(t.Context()), "expiry": client.CheckExpiry(time.Now())} {
			if err == nil {
				t.Fatalf("%s of %s: no error", what, c.source)
			}
			says(t, err, c.source, c.remedy)
			if installed := strings.Contains(c.remedy, "install container"); strings.Contains(err.Error(), "install container") != installed {
				t.Errorf("%q names the install container: want %t", err, installed)
			}
		}
		_, err = client.Node(t.Context(), "n")
		says(t, err, "no ClusterRole grants this right to the user of "+c.source)
	}
	for remedy, load := range map[string]func(string, string) (*Client, error){"the watching install container renews it": Load, "renew it there": LoadSupplied} {
		client, err := load(untrusted, "test")
		if err != nil {
			t.Fatal(err)
		}
		says(t, client.Ping(t.Context()), "is not signed by the CA certificate in kubeconfig "+filepath.Clean(untrusted), remedy)
	}
}
