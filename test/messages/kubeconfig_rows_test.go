// SPDX-License-Identifier: Apache-2.0

package messages_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"calico-cni/pkg/kube"
	"calico-cni/pkg/kubeapi"
)

// kubeconfigFor returns a kubeconfig for a server, with the secret as its token.
func kubeconfigFor(server, cluster string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: %q%s}}]
users: [{name: u, user: {token: %q}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
`, server, cluster, secret)
}

// loaded makes an ADD with this kubeconfig.
func loaded(text string) func(t *testing.T) outcome {
	return func(t *testing.T) outcome { return configured("kubernetes.kubeconfig", write(t, text))(t) }
}

// fifo returns the path of a new FIFO.
func fifo(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "fifo")
	must(t, syscall.Mkfifo(path, 0o600))
	return path
}

func kubeconfigRows() []row {
	good := kubeconfigFor("https://10.96.0.1:443", "")
	with := func(old, replacement string) func(t *testing.T) outcome {
		return func(t *testing.T) outcome {
			if !strings.Contains(good, old) {
				t.Fatalf("%q is not in the kubeconfig", old)
			}
			return loaded(strings.Replace(good, old, replacement, 1))(t)
		}
	}
	kinds := []error{kube.ErrKubeconfig}
	return []row{
		{
			cause:  "no kubeconfig in the configuration",
			by:     configured("kubernetes", map[string]any{}),
			code:   7,
			says:   "kubernetes.kubeconfig",
			remedy: "want the path of a kubeconfig file",
		},
		{
			cause: "kubeconfig of the install container missing", by: func(t *testing.T) outcome {
				return configured("kubernetes.kubeconfig", filepath.Join(t.TempDir(), kube.InstalledName))(t)
			},
			code: 11, says: kube.InstalledName, remedy: "the install container writes it: check that its pod runs on this node",
			kinds: []error{kube.ErrKubeconfig, fs.ErrNotExist},
		},
		{
			cause: "kubeconfig missing", by: func(t *testing.T) outcome {
				return configured("kubernetes.kubeconfig", filepath.Join(t.TempDir(), "none"))(t)
			},
			code: 11, says: "none", remedy: "create it, or correct kubernetes.kubeconfig", not: "install container",
			kinds: []error{kube.ErrKubeconfig, fs.ErrNotExist},
		},
		{
			cause:  "kubeconfig is a directory",
			by:     func(t *testing.T) outcome { return configured("kubernetes.kubeconfig", t.TempDir())(t) },
			code:   5,
			says:   "directory",
			remedy: "correct the file",
			kinds:  kinds,
		},
		{
			cause: "kubeconfig is a FIFO", by: func(t *testing.T) outcome {
				return configured("kubernetes.kubeconfig", fifo(t))(t)
			}, code: 5, says: "is a FIFO, want a regular file", remedy: "correct the file", kinds: kinds,
		},
		{
			cause: "token file is a FIFO", by: func(t *testing.T) outcome {
				return with(fmt.Sprintf("token: %q", secret), fmt.Sprintf("tokenFile: %q", fifo(t)))(t)
			}, code: 5, says: "is a FIFO, want a regular file", remedy: "correct the file", kinds: kinds,
		},
		{cause: "empty kubeconfig", by: loaded(""), code: 5, says: "empty", remedy: "correct the file", kinds: kinds},
		{
			cause:  "kubeconfig of bad YAML",
			by:     loaded("apiVersion: v1\nclusters: [{name: " + secret + "\n"),
			code:   5,
			says:   "line",
			remedy: "correct the file",
			kinds:  kinds,
		},
		{
			cause:  "kubeconfig with tabs",
			by:     loaded("apiVersion: v1\nclusters:\n\t- name: c\n"),
			code:   5,
			says:   "tab",
			remedy: "correct the file",
			kinds:  kinds,
		},
		{
			cause:  "kubeconfig of another kind",
			by:     with("kind: Config", "kind: Pod"),
			code:   5,
			says:   "kind",
			remedy: "correct the file",
			kinds:  kinds,
		},
		{
			cause:  "kubeconfig without context",
			by:     with("current-context: c", "current-context: ''"),
			code:   5,
			says:   "current-context",
			remedy: "correct the file",
			kinds:  kinds,
		},
		{
			cause:  "kubeconfig with an unknown cluster",
			by:     with("cluster: c, user: u", "cluster: d, user: u"),
			code:   5,
			says:   "cluster",
			remedy: "correct the file",
			kinds:  kinds,
		},
		{
			cause:  "kubeconfig with an unknown user",
			by:     with("cluster: c, user: u", "cluster: c, user: v"),
			code:   5,
			says:   "user",
			remedy: "correct the file",
			kinds:  kinds,
		},
		{
			cause:  "server without scheme and port",
			by:     with("https://10.96.0.1:443", ""),
			code:   5,
			says:   "server",
			remedy: "correct the file",
			kinds:  kinds,
		},
		{
			cause:  "server with a bad port",
			by:     with(":443", ":0x1bb"),
			code:   5,
			says:   "server",
			remedy: "correct the file",
			kinds:  kinds,
		},
		{
			cause:  "CA certificate that is no base64",
			by:     with("}}]\nusers", ", certificate-authority-data: '!'}}]\nusers"),
			code:   5,
			says:   "base64",
			remedy: "correct the file",
			kinds:  kinds,
		},
		{
			cause:  "CA certificate that is none",
			by:     with("}}]\nusers", ", certificate-authority-data: aGVsbG8=}}]\nusers"),
			code:   5,
			says:   "certificate-authority",
			remedy: "correct the file",
			kinds:  kinds,
		},
		{
			cause:  "CA certificate that is missing",
			by:     with("}}]\nusers", ", certificate-authority: none.crt}}]\nusers"),
			code:   11,
			says:   "certificate-authority: no such file",
			remedy: "correct the file",
			kinds:  []error{kube.ErrKubeconfig, fs.ErrNotExist},
		},
		{
			cause:  "empty token",
			by:     with(fmt.Sprintf("token: %q", secret), "token: ''"),
			code:   5,
			says:   "token",
			remedy: "correct the file",
			kinds:  kinds,
		},
		{
			cause:  "token with a line break",
			by:     with(fmt.Sprintf("token: %q", secret), fmt.Sprintf("token: \"%s\\nx\"", secret)),
			code:   5,
			says:   "token",
			remedy: "correct the file",
			kinds:  kinds,
		},
		{
			cause: "token file that is empty", by: func(t *testing.T) outcome {
				return with(fmt.Sprintf("token: %q", secret), fmt.Sprintf("tokenFile: %q", write(t, "")))(t)
			}, code: 5, says: "the file is empty", remedy: "correct the file", kinds: kinds,
		},
		{
			cause: "client key of another certificate",
			by:    with(fmt.Sprintf("token: %q", secret), "client-certificate-data: aGVsbG8=, client-key-data: aGVsbG8="),
			code:  5, says: "client-certificate", remedy: "correct the file", kinds: kinds,
		},
		{
			cause: "credential plugin missing",
			by: with(
				fmt.Sprintf("token: %q", secret),
				"exec: {apiVersion: client.authentication.k8s.io/v1, command: /none, interactiveMode: Never}",
			),
			code: 11, says: "credential plugin (exec) of the kubeconfig: /none: no such file",
			remedy: "install it on this node, or correct command", kinds: []error{kubeapi.ErrUnavailable},
		},
		{
			cause: "credential plugin not in PATH",
			by: with(
				fmt.Sprintf("token: %q", secret),
				"exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-login, interactiveMode: Never, "+
					"installHint: see the wiki}",
			),
			code: 11, says: "no-such-login: no such file in PATH (",
			remedy: "install it on this node, or write its full path as command; the kubeconfig says: see the wiki",
			kinds:  []error{kubeapi.ErrUnavailable},
		},
		{
			cause: "credential plugin not executable", by: func(t *testing.T) outcome {
				path := write(t, "#!/bin/sh\n")
				return with(
					fmt.Sprintf("token: %q", secret),
					"exec: {apiVersion: client.authentication.k8s.io/v1, command: "+path+", interactiveMode: Never}",
				)(
					t,
				)
			}, code: 11, says: "the file is not executable", remedy: "make it executable", kinds: []error{kubeapi.ErrUnavailable},
		},
		{
			cause: "credential plugin that fails", by: func(t *testing.T) outcome {
				path := write(t, "#!/bin/sh\necho "+secret+" >&2; exit 3\n")
				must(t, os.Chmod(path, 0o700))
				return with(
					fmt.Sprintf("token: %q", secret),
					"exec: {apiVersion: client.authentication.k8s.io/v1, command: "+path+", interactiveMode: Never}",
				)(
					t,
				)
			}, code: 11, says: "it exits with code 3", remedy: "check what it prints when it is run on this node",
			not: "API server unavailable", kinds: []error{kubeapi.ErrUnavailable},
		},
		{
			cause: "not in a pod", by: func(t *testing.T) outcome {
				_, err := kube.InCluster(func(string) string { return "" }, "test")
				if err == nil {
					return outcome{err: errors.New("accepted")}
				}
				return of(err)
			}, code: 5, says: "KUBERNETES_SERVICE_HOST", remedy: "set KUBECONFIG", kinds: kinds,
		},
	}
}
