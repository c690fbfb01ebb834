// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calico-cni/pkg/kubeapi"
)

const secret = "hunter2-7c0ffee5"

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// kubeconfig returns a kubeconfig with the given fields of its cluster and its user.
func kubeconfig(cluster, user string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: "+
		"b, user: c}}], "+
		"clusters: [{name: b, cluster: {%s}}], users: [{name: c, user: {%s}}]}", cluster, user)
}

func TestMissingKubeconfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none")
	_, err := Load(file, "test")
	if !errors.Is(err, ErrKubeconfig) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), file) {
		t.Errorf("Load = %v; want fs.ErrNotExist with the path", err)
	}
}

// TestPasswordInServerURLIsUsedButNotShown makes requests to a server that rejects them, and to one that is down.
func TestPasswordInServerURLIsUsedButNotShown(t *testing.T) {
	var user, password string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
		fail(w, http.StatusForbidden, "Forbidden", "")
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	for _, scheme := range []string{"http://", ""} {
		user, password = "", ""
		c, err := Load(write(t, kubeconfig("server: '"+scheme+"u:"+secret+"@"+address+"'", "")), "test")
		if err != nil {
			t.Fatal(err)
		}
		if want := "http://u:xxxxx@" + address; c.Host() != want {
			t.Errorf("Host = %s; want %s", c.Host(), want)
		}
		_, err = kubeapi.Node(t.Context(), c, "n")
		if !errors.Is(err, kubeapi.ErrForbidden) || strings.Contains(err.Error(), secret) {
			t.Errorf("Node = %v; want ErrForbidden without the password", err)
		}
		if user != "u" || password != secret {
			t.Errorf("the server saw user %q with password %q", user, password)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, scheme := range []string{"http", "https"} {
		c, err := Load(write(t, kubeconfig("server: '"+scheme+"://u:"+secret+"@"+l.Addr().String()+"'", "")), "test")
		if err != nil {
			t.Fatal(err)
		}
		_, err = kubeapi.Node(t.Context(), c, "n")
		if !errors.Is(err, kubeapi.ErrUnavailable) || strings.Contains(err.Error(), secret) ||
			!strings.Contains(err.Error(), "at "+scheme+"://u:xxxxx@"+l.Addr().String()) {
			t.Errorf("Node = %v; want ErrUnavailable with the redacted URL", err)
		}
	}
}

func TestKubeconfigUsesCurrentContext(t *testing.T) {
	const several = `
preferences: {colors: true}
current-context: second
contexts:
- {name: first, context: {cluster: a, user: a}}
- {name: second, context: {cluster: b, user: b, namespace: "not used"}}
- {name: third, context: {cluster: gone, user: gone}}
clusters:
- {name: a, cluster: {server: 'https://a'}}
- {name: b, cluster: {server: 'https://b', fromTheFuture: [1]}}
users:
- {name: a, user: {token: a}}
- {name: b, user: {token: b, fromTheFuture: {c: null}}}
fromTheFuture: true
`
	for name, text := range map[string]string{
		"YAML without its kind": several,
		"YAML":                  "apiVersion: v1\nkind: Config" + several,
		"JSON": `{"current-context": "b", "contexts": [{"name": "b", "context": {"cluster": "b", "user": "b"}}],
			"clusters": [{"name": "b", "cluster": {"server": "https://b"}}], "users": [{"name": "b",
				"user": {"token": "b"}}]}`,
	} {
		c, err := Load(write(t, text), "test")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.Host() != "https://b" || c.sender.identity.bearer() != "b" {
			t.Errorf("%s: %s with token %q", name, c.Host(), c.sender.identity.bearer())
		}
	}
}

func FuzzKubeconfig(f *testing.F) {
	f.Add([]byte(kubeconfig("server: 'https://h', proxy-url: 'http://p'", "token: t")))
	f.Add([]byte("users: [{}]"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if c, u, err := parse(data); err == nil {
			server, err := serverURL(c.Server)
			if err != nil || check(c, u, server) != nil {
				return
			}
			u.CertificateFile, u.KeyFile, u.TokenFile = "", "", ""
			_, _ = identify(u, c)
		}
	})
}
