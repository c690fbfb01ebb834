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

// kubeconfig returns one with the given fields of its cluster and its user.
func kubeconfig(cluster, user string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: b, user: c}}], "+
		"clusters: [{name: b, cluster: {%s}}], users: [{name: c, user: {%s}}]}", cluster, user)
}

func TestErrorsOfAKubeconfigShowNothingThatItSays(t *testing.T) {
	const server = "server: 'https://h'"
	for _, tt := range []struct {
		name, text string
		want       error
		says       string
	}{
		{"kind", "apiVersion: v1\nkind: " + secret, errKind, "want kind"},
		{"version", "apiVersion: " + secret + "\nkind: Config", errKind, "want kind"},
		{"version of many parts", "apiVersion: a/b/" + secret + "\nkind: Config", errKind, "want kind"},
		{"syntax", "apiVersion: v1\nkind: Config\nusers: [\n" + secret + ": }", errSyntax, "see line 3"},
		{"anchor", "apiVersion: v1\nkind: *" + secret, errSyntax, "not YAML"},
		{"text", secret, errFields, "not a kubeconfig"},
		{"type", "apiVersion: v1\nkind: Config\nusers: " + secret, errFields, "wrong type"},
		{"base64", kubeconfig(server+", certificate-authority-data: "+secret, ""), errFields, "base64"},
		{"another file", "password: " + secret, errEmpty, "no clusters"},
		{"context", "current-context: " + secret + "\nclusters: [{name: b, cluster: {server: h}}]", errContext, "current-context"},
		{"name of the cluster", strings.Replace(kubeconfig(server, ""), "cluster: b", "cluster: "+secret, 1), errCluster, "cluster of"},
		{"name of the user", strings.Replace(kubeconfig(server, ""), "user: c", "user: "+secret, 1), errUnknownUser, "user of"},
		{"no server", kubeconfig("tls-server-name: "+secret, ""), errServer, "server"},
		{"server", kubeconfig("server: 'https://u:"+secret+"@[h'", ""), errServer, "server"},
		{"server with a bad port", kubeconfig("server: 'https://u:"+secret+"@h:port'", ""), errServer, "server"},
		{"proxy", kubeconfig(server+", proxy-url: 'ftp://u:"+secret+"@h'", ""), errProxy, "proxy-url"},
		{"two clusters of a name", strings.Replace(kubeconfig(server, ""), "clusters: [", "clusters: [{name: b, cluster: {server: "+secret+"}}, ", 1), errNames, "same name"},
		{"auth-provider", kubeconfig(server, "auth-provider: {name: "+secret+"}"), errAuthProvider, "credential plugin"},
		{"no command", kubeconfig(server, "exec: {apiVersion: client.authentication.k8s.io/v1, args: ["+secret+"]}"), errPlugin, "credential plugin"},
		{"variable without name", kubeconfig(server, "exec: {apiVersion: client.authentication.k8s.io/v1, command: x, env: [{value: "+secret+"}]}"), errPlugin, "credential plugin"},
		{"groups of nobody", kubeconfig(server, "token: t, as-groups: ["+secret+"]"), errUser, "user"},
		{"CA twice", kubeconfig(server+", certificate-authority: /dev/null, certificate-authority-data: aHVudGVyMg==", ""), errCertificates, "CA"},
		{"CA that is none", kubeconfig(server+", certificate-authority-data: aHVudGVyMg==", ""), errCertificates, "CA"},
		{"empty CA file", kubeconfig(server+", certificate-authority: /dev/null", ""), errCertificates, "CA"},
		{"CA and no verification", kubeconfig(trusting(listen(t, nil))+", insecure-skip-tls-verify: true", ""), errCertificates, "CA"},
		{"certificate twice", kubeconfig(server, "client-certificate: /dev/null, client-certificate-data: aHVudGVyMg=="), errCertificates, "PEM"},
		{"key twice", kubeconfig(server, "client-key: /dev/null, client-key-data: aHVudGVyMg=="), errCertificates, "PEM"},
		{"certificate without key", kubeconfig(server, "client-certificate-data: aHVudGVyMg=="), errCertificates, "PEM"},
		{"two kinds of credentials", kubeconfig(server, "username: u, password: "+secret+", token: "+secret), errUser, "user"},
		{"password and token file", kubeconfig(server, "username: u, password: "+secret+", tokenFile: /proc/self/comm"), errUser, "user"},
		{"credential plugin", kubeconfig(server, "exec: {command: x, apiVersion: "+secret+", interactiveMode: Never}"), errPlugin, "credential plugin"},
		{"CA file", kubeconfig(server+", certificate-authority: "+secret, ""), fs.ErrNotExist, "certificate-authority"},
		{"key file", kubeconfig(server, "client-certificate: /dev/null, client-key: "+secret), fs.ErrNotExist, "client-key"},
		{"token file", kubeconfig(server, "tokenFile: "+secret), fs.ErrNotExist, "tokenFile"},
		{"certificate", kubeconfig(server, "client-certificate: /dev/null, client-key-data: aHVudGVyMg=="), errCertificates, "PEM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, tt.text)
			_, err := Load(file, "test")
			if !errors.Is(err, ErrKubeconfig) || !errors.Is(err, tt.want) {
				t.Fatalf("Load = %v; want %v", err, tt.want)
			}
			for _, want := range []string{file, tt.says, "install container"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q has the secret", err)
			}
		})
	}
}

func TestAMissingKubeconfigIsNoFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none")
	_, err := Load(file, "test")
	if !errors.Is(err, ErrKubeconfig) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), file) {
		t.Errorf("Load = %v; want fs.ErrNotExist with the path", err)
	}
}

// TestAPasswordInTheServersURLIsUsedAndNotShown asks a server that refuses, and then one that is gone.
func TestAPasswordInTheServersURLIsUsedAndNotShown(t *testing.T) {
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
		_, err = c.Node(t.Context(), "n")
		if !errors.Is(err, ErrForbidden) || strings.Contains(err.Error(), secret) {
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
		_, err = c.Node(t.Context(), "n")
		if !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "at "+scheme+"://u:xxxxx@"+l.Addr().String()) {
			t.Errorf("Node = %v; want ErrUnavailable with the redacted URL", err)
		}
	}
}

func TestTheCurrentContextCountsAndUnknownFieldsDoNot(t *testing.T) {
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
			"clusters": [{"name": "b", "cluster": {"server": "https://b"}}], "users": [{"name": "b", "user": {"token": "b"}}]}`,
	} {
		c, err := Load(write(t, text), "test")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.Host() != "https://b" || c.identity.bearer() != "b" {
			t.Errorf("%s: %s with token %q", name, c.Host(), c.identity.bearer())
		}
	}
}

func FuzzKubeconfig(f *testing.F) {
	f.Add([]byte(kubeconfig("server: 'https://h', proxy-url: 'http://p'", "token: t")))
	f.Add([]byte("users: [{}]"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if c, u, err := parse(data); err == nil {
			_, _ = serverURL(c.Server)
			u.CertificateFile, u.KeyFile, u.TokenFile = "", "", ""
			_, _ = identify(u, c)
		}
	})
}
