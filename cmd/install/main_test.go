// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"calico-cni/internal/buildinfo"
)

// asProgram is the variable that makes the test binary behave as the program install.
const asProgram = "CALICO_CNI_TEST_INSTALL"

// bin is a directory for the plugins. See plugins.
var bin string

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		buildinfo.Version = "v1.2.3-test"
		main()
		return
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "cmd-install-test"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(bin) }()
	return m.Run()
}

// buildPlugins builds calico and calico-ipam.
var buildPlugins = sync.OnceValue(func() error {
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", bin, "../calico", "../calico-ipam")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build plugins: %w: %s", err, out)
	}
	return nil
})

// plugins returns a directory with the plugins.
func plugins(t *testing.T) string {
	t.Helper()
	if err := buildPlugins(); err != nil {
		t.Fatal(err)
	}
	return bin
}

// runInstall runs the program and returns its exit code and output.
func runInstall(t *testing.T, env []string, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(slices.Clone(env), asProgram+"=true"), &out, &log
	var exited *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exited) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), log.String()
}

func TestHelp(t *testing.T) {
	exit, stdout, stderr := runInstall(t, nil, "--help")
	if exit != 0 || !strings.Contains(stdout, "Exit codes:") || stderr != "" {
		t.Errorf("install --help: exit code %d, output %q, errors %q", exit, stdout, stderr)
	}
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"--version", "version"} {
		exit, stdout, stderr := runInstall(t, []string{"CNI_MTU=of no interest"}, arg)
		if exit != 0 || stdout != "v1.2.3-test\n" || stderr != "" {
			t.Errorf("install %s: exit code %d, output %q, errors %q", arg, exit, stdout, stderr)
		}
	}
}

// node creates the directories of a node and of a pod's service account, and returns the variables that name them.
func node(t *testing.T) (root string, env []string) {
	t.Helper()
	root = t.TempDir()
	for _, dir := range []string{"opt/cni/bin", "etc/cni/net.d", "sa"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"token": "installers-own-secret", "namespace": "kube-system"} {
		if err := os.WriteFile(filepath.Join(root, "sa", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root, []string{
		"CNI_HOST_ROOT=" + root, "CNI_BIN_SOURCE=" + plugins(t), "CNI_SERVICE_ACCOUNT_DIR=" + filepath.Join(root, "sa"),
		"SLEEP=false", "KUBERNETES_NODE_NAME=worker-1",
	}
}

// TestDryRunAndStatusPrintTheirResult checks that they log no error: the exit code is their result.
func TestDryRunAndStatusPrintTheirResult(t *testing.T) {
	_, env := node(t)
	env = append(env, "SKIP_TLS_VERIFY=true", "KUBERNETES_SERVICE_HOST=127.0.0.1")
	for arg, says := range map[string]string{"--dry-run": "would change 4 files", "status": "problem  "} {
		exit, stdout, stderr := runInstall(t, env, arg)
		if exit != 3 || !strings.Contains(stdout, says) || stderr != "" {
			t.Errorf("install %s: exit code %d, output %q, errors %q", arg, exit, stdout, stderr)
		}
	}
}

// TestInstallerUsesTheConfiguredServer sets it by flags, and by a variable with the default port.
func TestInstallerUsesTheConfiguredServer(t *testing.T) {
	var asked int
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401}`)
	}))
	defer s.Close()
	root, env := node(t)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(root, "sa/ca.crt"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
	exit, _, stderr := runInstall(t, env, "--kubernetes-service-host="+host, "--kubernetes-service-port="+port)
	if exit != 1 || asked != 1 || !strings.Contains(stderr, "does not accept the token of the pod's service account") {
		t.Errorf("with flags: exit code %d, asked %d times, errors %q", exit, asked, stderr)
	}
	if strings.Contains(stderr, "install container") || strings.Contains(stderr, "secret") {
		t.Errorf("the remedy is not one for the installer: %s", stderr)
	}
	exit, _, stderr = runInstall(t, append(env, "KUBERNETES_SERVICE_HOST=127.0.0.1"))
	if exit != 1 || !strings.Contains(stderr, "https://127.0.0.1:443") {
		t.Errorf("with a host alone: exit code %d, errors %q", exit, stderr)
	}
	exit, _, stderr = runInstall(t, append(env, "KUBERNETES_SERVICE_HOST=127.0.0.1"),
		"--kubeconfig="+filepath.Join(root, "none"))
	if exit != 1 || !strings.Contains(stderr, "set --kubeconfig") || strings.Contains(stderr, "install container") {
		t.Errorf("without its kubeconfig: exit code %d, errors %q", exit, stderr)
	}
}

func TestInvalidVariableExitsWithCode2(t *testing.T) {
	for _, env := range []string{
		"CNI_MTU=big", "CNI_MTU=1", "KUBERNETES_NODE_NAME=a/b c", "CNI_CONF_NAME=.conflist",
		"CNI_CONF_NAME=calico-kubeconfig", "CNI_OLD_CONF_NAME=calico-kubeconfig",
	} {
		variable, _, _ := strings.Cut(env, "=")
		exit, _, stderr := runInstall(t, []string{env, "KUBERNETES_SERVICE_HOST=10.96.0.1"})
		if exit != 2 || !strings.Contains(stderr, variable) {
			t.Errorf("%s: exit code %d, errors %q", env, exit, stderr)
		}
	}
}

// TestInstallerWritesNothingWithoutAnAPIServer runs the real program with the real plugins.
func TestInstallerWritesNothingWithoutAnAPIServer(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"opt/cni/bin", "etc/cni/net.d", "sa"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	kubeconfig := filepath.Join(root, "sa", "kubeconfig")
	// No server listens on port 1.
	text := `{"apiVersion": "v1", "kind": "Config", "current-context": "c", 
		"contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
		"clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1"}}],
		"users": [{"name": "u", "user": {"token": "installers-own-secret"}}]}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	exit, stdout, stderr := runInstall(t, []string{
		"CNI_HOST_ROOT=" + root, "CNI_BIN_SOURCE=" + plugins(t), "KUBECONFIG=" + kubeconfig, "CNI_NAMESPACE=kube-system",
		"KUBERNETES_SERVICE_HOST=127.0.0.1", "KUBERNETES_SERVICE_PORT=1", "SKIP_TLS_VERIFY=true", "SLEEP=false",
	})
	const request = "find API group: API server unavailable"
	if exit != 1 || stdout != "" || !strings.Contains(stderr, request) ||
		!strings.Contains(stderr, "https://127.0.0.1:1") || strings.Contains(stderr, "secret") {
		t.Errorf("exit code %d, output %q, errors %q", exit, stdout, stderr)
	}
	var got []string
	for _, dir := range []string{"opt/cni/bin", "etc/cni/net.d"} {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			got = append(got, e.Name())
		}
	}
	if len(got) > 0 {
		t.Errorf("installed are %v; want nothing", got)
	}
}
