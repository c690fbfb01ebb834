// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKubeconfigErrors compares the complete message of each error of a kubeconfig. DIR is the directory of the
// kubeconfig, which has the files that filled writes.
func TestKubeconfigErrors(t *testing.T) {
	const (
		server = "server: 'https://h'"
		exec   = "exec: {command: x, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never"
	)
	good := kubeconfig(server, "token: t")
	bad64 := base64.StdEncoding.EncodeToString([]byte(secret))
	cert, key := certificate(t, "someone")
	cert64, key64 := base64.StdEncoding.EncodeToString(cert), base64.StdEncoding.EncodeToString(key)
	_, other := certificate(t, "other")
	pki := filepath.Join(t.TempDir(), "pki")
	for _, tt := range []struct{ name, text, want string }{
		// Errors of the file as a whole.
		{"empty", "", "it is empty"},
		{"white space", " \n\t\n", "it is empty"},
		{"comment only", "# nothing\n", "it has no clusters, users and contexts"},
		{"kind", "apiVersion: v1\nkind: " + secret, `it is not a kubeconfig: want kind "Config" and apiVersion "v1"`},
		{
			"version", "apiVersion: a/b/" + secret + "\nkind: Config",
			`it is not a kubeconfig: want kind "Config" and apiVersion "v1"`,
		},
		{"syntax", "apiVersion: v1\nkind: Config\nusers: [\n" + secret + ": }", "it is not YAML or JSON: see line 3"},
		{"anchor", "apiVersion: v1\nkind: *" + secret, "it is not YAML or JSON"},
		{
			"tab", "apiVersion: v1\nusers:\n\t- " + secret,
			"it is not YAML: it is indented by tabs; use spaces: see line 3",
		},
		{"binary", "\x00\x01" + secret, "it is not YAML or JSON"},
		{"text", secret, "it is not a kubeconfig: a field has the wrong type"},
		{"list", "- " + secret, "it is not a kubeconfig: a field has the wrong type"},
		{"type", "users: " + secret, "it is not a kubeconfig: a field has the wrong type: see users"},
		{
			"type of a token", kubeconfig(server, "token: 5"),
			"it is not a kubeconfig: a field has the wrong type: see users.user.token",
		},
		{
			"base64", kubeconfig(server+", certificate-authority-data: "+secret, ""),
			"the data of a certificate or of a key is not base64: check certificate-authority-data, " +
				"client-certificate-data and client-key-data",
		},
		{"not a kubeconfig", "password: " + secret, "it has no clusters, users and contexts"},
		{"huge", good + "\n# " + strings.Repeat("x", maxFile), "it is larger than 4 MiB"},
		// Errors of the current context.
		{
			"no current context", strings.Replace(good, "current-context: a", "current-context: ''", 1),
			"it has no current-context: set it to the name of one of the contexts",
		},
		{
			"context", strings.Replace(good, "current-context: a", "current-context: "+secret, 1),
			"its current-context is not the name of one of its contexts",
		},
		{
			"cluster", strings.Replace(good, "cluster: b", "cluster: "+secret, 1),
			"the cluster of its current context is not the name of one of its clusters",
		},
		{
			"user", strings.Replace(good, "user: c", "user: "+secret, 1),
			"the user of its current context is not the name of one of its users",
		},
		{
			"no user", strings.Replace(good, ", user: c", "", 1),
			"its current context has no user: set it to the name of one of the users",
		},
		{
			"two clusters of a name", strings.Replace(good, "clusters: [",
				"clusters: [{name: b, cluster: {server: "+secret+"}}, ", 1),
			"two entries of the same list have the same name: rename or remove one",
		},
		// Errors of the server.
		{"no server", kubeconfig("tls-server-name: "+secret, ""), errServer.Error() + ": it is empty"},
		{"host", kubeconfig("server: 'https://u:"+secret+"@[h'", ""), errServer.Error() + ": it has no valid host"},
		{"port", kubeconfig("server: 'https://u:"+secret+"@h:port'", ""), errServer.Error() +
			": its port is not a number from 1 to 65535"},
		{"large port", kubeconfig("server: 'https://u:"+secret+"@h:65536'", ""), errServer.Error() +
			": its port is not a number from 1 to 65535"},
		{"scheme", kubeconfig("server: 'ftp://u:"+secret+"@h'", ""), errServer.Error() +
			": its scheme is neither https nor http"},
		{"IPv6", kubeconfig("server: 'https://fd00::1:443'", ""), errServer.Error() +
			": write its IPv6 address in brackets, as in https://[fd00::1]:443"},
		{"no scheme, token", kubeconfig("server: '10.96.0.1:443'", "token: "+secret), errServer.Error() + ": " +
			errNoScheme.Error()},
		{
			"no scheme, CA", kubeconfig("server: '10.96.0.1:443', certificate-authority-data: "+cert64, ""),
			errServer.Error() + ": " + errNoScheme.Error(),
		},
		{
			"no scheme, not verified", kubeconfig("server: '10.96.0.1:443', insecure-skip-tls-verify: true", ""),
			errServer.Error() + ": " + errNoScheme.Error(),
		},
		{
			"proxy", kubeconfig(server+", proxy-url: 'ftp://u:"+secret+"@h'", "token: t"),
			"the proxy-url is not a URL of scheme http, https or socks5",
		},
		// Errors of the CA.
		{
			"CA twice", kubeconfig(server+", certificate-authority: ca.crt, certificate-authority-data: "+cert64, ""),
			"certificate-authority and certificate-authority-data are both set: remove one",
		},
		{"CA, not verified", kubeconfig(server+", insecure-skip-tls-verify: true, certificate-authority-data: "+cert64,
			""), "certificate-authority and insecure-skip-tls-verify are both set: remove one"},
		{
			"CA without PEM", kubeconfig(server+", certificate-authority-data: "+bad64, "token: t"),
			"the certificate-authority has no certificate in PEM",
		},
		{
			"empty CA file", kubeconfig(server+", certificate-authority: blank", "token: t"),
			"certificate-authority DIR/blank: the file is empty",
		},
		{
			"CA file missing", kubeconfig(server+", certificate-authority: "+secret, "token: t"),
			"certificate-authority: no such file or directory in DIR",
		},
		{
			"CA directory missing", kubeconfig(server+", certificate-authority: "+secret+"/ca.crt", "token: t"),
			"certificate-authority: no such file or directory",
		},
		{
			"CA file is a directory, want a regular file", kubeconfig(server+", certificate-authority: /proc", "token: t"),
			"certificate-authority /proc: is a directory, want a regular file",
		},
		// Errors of the user.
		{"no credentials", kubeconfig(server, ""), errNoCredentials.Error()},
		{"empty token", kubeconfig(server, "token: ''"), errNoCredentials.Error()},
		{"blank token", kubeconfig(server, "token: ' '"), "the token is only white space: want a bearer token"},
		{"token with line break", kubeconfig(server, `token: "`+secret+`\n"`), "the token: " + errNotToken.Error()},
		{"token with control character", kubeconfig(server, `token: "`+secret+`\x07"`), "the token: " +
			errNotToken.Error()},
		{"token with BOM", kubeconfig(server, `token: "\ufeff`+secret+`"`), "the token: " + errNotToken.Error()},
		{"empty token file", kubeconfig(server, "tokenFile: empty"), "tokenFile DIR/empty: the file is empty"},
		{"blank token file", kubeconfig(server, "tokenFile: blank"), "tokenFile DIR/blank: the file is empty"},
		{"token file of lines", kubeconfig(server, "tokenFile: lines"), "tokenFile DIR/lines: " + errNotToken.Error()},
		{"token file missing", kubeconfig(server, "tokenFile: "+secret), "tokenFile: no such file or directory in DIR"},
		{
			"token file is a directory", kubeconfig(server, "tokenFile: ."),
			"tokenFile DIR: is a directory, want a regular file",
		},
		{
			"password and token", kubeconfig(server, "username: u, password: "+secret+", token: "+secret),
			"the user has a password and a token: remove one",
		},
		{
			"password and token file", kubeconfig(server, "username: u, password: "+secret+", tokenFile: token"),
			"the user has a password and a token: remove one",
		},
		{
			"password without username", kubeconfig(server, "password: "+secret),
			"password is set without username: set both",
		},
		{
			"type of an extra", kubeconfig(server, "token: t, as: u, as-user-extra: {a: [yes]}"),
			"it is not a kubeconfig: a field has the wrong type: see users.user.as-user-extra",
		},
		{
			"certificate twice", kubeconfig(server, "client-certificate: tls.crt, client-certificate-data: "+cert64),
			"client-certificate and client-certificate-data are both set: remove one",
		},
		{
			"key twice", kubeconfig(server, "client-key: tls.key, client-key-data: "+key64),
			"client-key and client-key-data are both set: remove one",
		},
		{
			"no key", kubeconfig(server, "client-certificate-data: "+cert64),
			"client-certificate is set without client-key: set both",
		},
		{
			"no certificate", kubeconfig(server, "client-key-data: "+key64),
			"client-key is set without client-certificate: set both",
		},
		{
			"certificate without PEM", kubeconfig(server,
				"client-certificate-data: "+bad64+", client-key-data: "+key64),
			"the client-certificate has no certificate in PEM",
		},
		{
			"key without PEM", kubeconfig(server, "client-certificate-data: "+cert64+", client-key-data: "+bad64),
			"the client-key has no unencrypted private key in PEM",
		},
		{
			"encrypted key", kubeconfig(server, "client-certificate-data: "+cert64+", client-key: encrypted"),
			"the client-key has no unencrypted private key in PEM",
		},
		{
			"key of another", kubeconfig(server, "client-certificate-data: "+cert64+", client-key: other"),
			errPair.Error(),
		},
		{
			"empty certificate file", kubeconfig(server, "client-certificate: empty, client-key: other"),
			"client-certificate DIR/empty: the file is empty",
		},
		{
			"empty key file", kubeconfig(server, "client-certificate-data: "+cert64+", client-key: empty"),
			"client-key DIR/empty: the file is empty",
		},
		{
			"certificate file missing", kubeconfig(server, "client-certificate: "+secret+", client-key: other"),
			"client-certificate: no such file or directory in DIR",
		},
		{
			"key file missing", kubeconfig(server, "client-certificate-data: "+cert64+", client-key: "+secret),
			"client-key: no such file or directory in DIR",
		},
		{
			"key in the place of a file",
			kubeconfig(server, "client-certificate: '"+pki+"/tls.crt', client-key: other"),
			"client-certificate: no such file or directory",
		},
		{"auth-provider", kubeconfig(server, "auth-provider: {name: "+secret+"}"), errAuthProvider.Error()},
		// Errors of the impersonation.
		{"groups without user", kubeconfig(server, "token: t, as-groups: ["+secret+"]"), errImpersonation.Error()},
		{"user of lines", kubeconfig(server, `token: t, as: "`+secret+`\n"`), "as: " + errControl.Error()},
		{"group of lines", kubeconfig(server, `token: t, as: u, as-groups: ["`+secret+`\n"]`), "as-groups: " +
			errControl.Error()},
		{
			"extra of lines", kubeconfig(server, `token: t, as: u, as-user-extra: {a: ["`+secret+`\n"]}`),
			"as-user-extra: " + errControl.Error(),
		},
		// Errors of the credential plugin.
		{
			"no command", kubeconfig(server, "exec: {apiVersion: client.authentication.k8s.io/v1, args: ["+secret+"]}"),
			"the credential plugin (exec) has no command",
		},
		{"plugin version", kubeconfig(server, "exec: {command: x, apiVersion: "+secret+"}"), errPluginVersion.Error()},
		{"plugin version v1alpha1", kubeconfig(server,
			"exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}"), errPluginVersion.Error()},
		{
			"variable without name", kubeconfig(server, exec+", env: [{value: "+secret+"}]}"),
			"a variable in env of the credential plugin (exec) has no name",
		},
		{
			"no mode", kubeconfig(server, "exec: {command: x, apiVersion: client.authentication.k8s.io/v1}"),
			errPluginMode.Error(),
		},
		{
			"unknown mode", kubeconfig(server,
				"exec: {command: x, apiVersion: client.authentication.k8s.io/v1beta1, interactiveMode: "+secret+"}"),
			errPluginMode.Error(),
		},
		{
			"interactive", kubeconfig(server,
				"exec: {command: x, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Always}"),
			errInteractive.Error(),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, tt.text)
			dir := filepath.Dir(file)
			for name, text := range map[string]string{
				"empty": "", "blank": " \n", "lines": secret + "\nb", "token": "t", "other": string(other),
				"encrypted": "-----BEGIN ENCRYPTED PRIVATE KEY-----\naGk=\n-----END ENCRYPTED PRIVATE KEY-----\n",
			} {
				put(t, dir, name, []byte(text), 0o600)
			}
			want := "unusable kubeconfig " + file + ": " + strings.ReplaceAll(tt.want, "DIR", dir)
			for remedy, load := range map[string]func(string, string) (*Client, error){
				"": LoadSupplied,
				"; correct the file, or restart the install container on this node if it wrote the file": Load,
			} {
				_, err := load(file, "test")
				if !errors.Is(err, ErrKubeconfig) {
					t.Fatalf("load = %v; want ErrKubeconfig", err)
				}
				got := strings.Replace(err.Error(), "unusable kubeconfig in kubeconfig ", "unusable kubeconfig ", 1)
				if got != want+remedy {
					t.Errorf("load = %s\nwant   %s", got, want+remedy)
				}
				if missing := strings.Contains(tt.want, "no such file"); errors.Is(err, fs.ErrNotExist) != missing {
					t.Errorf("%v: fs.ErrNotExist is %t, want %t", err, !missing, missing)
				}
				says(t, err)
			}
		})
	}
}

func TestKubeconfigIsNotAFile(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir: "is a directory, want a regular file; correct the file",
		filepath.Join(dir, InstalledName): "no such file or directory; the install container writes it: check that " +
			"its pod runs on this node",
		filepath.Join(dir, "no/dir"): "no such file or directory; create it, or correct kubernetes.kubeconfig " +
			"in the CNI configuration",
	} {
		_, err := Load(path, "test")
		if !errors.Is(err, ErrKubeconfig) {
			t.Fatalf("Load = %v; want ErrKubeconfig", err)
		}
		says(t, err, "unusable kubeconfig "+path+": "+want)
	}
}

func TestUnreadableKubeconfig(t *testing.T) {
	if os.Getuid() == 0 {
		// Root can read files of any mode, so the test uses the error that other users get.
		err := cause(&fs.PathError{Op: "open", Path: secret, Err: fs.ErrPermission})
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%v, want fs.ErrPermission", err)
		}
		says(t, err)
		return
	}
	file := write(t, kubeconfig("server: 'https://h'", "token: t"))
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file, "test"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Load = %v; want fs.ErrPermission", err)
	}
}
