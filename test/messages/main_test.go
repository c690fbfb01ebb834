// SPDX-License-Identifier: Apache-2.0

// Package messages_test tests the error messages of the plugins. Each row of its tables produces an error by its real
// cause, with the code of the plugins, and lists the CNI code and the parts of the message that name cause and remedy.
package messages_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"calico-cni/internal/dispatch"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/cnierr"
	"calico-cni/pkg/invocation"
	"calico-cni/pkg/ipamplugin"
	"calico-cni/test/apiserver"
)

func TestMain(m *testing.M) { apiserver.Main(m) }

// secret is part of kubeconfigs and configurations. No message may contain it.
const secret = "s3cr3t-t0k3n-value"

// outcome is an error as the runtime receives it, and the error that the plugin returned, nil if no plugin was called.
type outcome struct {
	code uint
	msg  string
	err  error
}

// of returns the outcome of a command that returns err.
func of(err error) outcome {
	e := cnierr.From(err)
	return outcome{e.Code, strings.ReplaceAll(e.Msg, "\n", "; "), err}
}

// pluginCall is one call of calico-ipam.
type pluginCall struct {
	verb string
	// changes are changes to a valid configuration, by key ("a.b" for nested keys). The value nil removes the key.
	changes map[string]any
	// stdin replaces the configuration, env adds to the environment.
	stdin *string
	env   map[string]string
	// prepare runs before the call, with the plugin's directories.
	prepare func(t *testing.T, h invocation.Host)
}

// answer is the output of a call, and the error that the plugin returned.
type answer struct {
	exit   int
	stdout string
	err    error
}

// run makes a call that must fail and returns its outcome.
func (i pluginCall) run(t *testing.T) outcome {
	t.Helper()
	a := i.call(t)
	if a.exit != 1 {
		t.Fatalf("exit code %d, want an error; standard output: %s", a.exit, a.stdout)
	}
	var printed struct {
		Code uint   `json:"code"`
		Msg  string `json:"msg"`
	}
	if err := json.Unmarshal([]byte(a.stdout), &printed); err != nil {
		t.Fatalf("%v: %s", err, a.stdout)
	}
	return outcome{printed.Code, printed.Msg, a.err}
}

// call runs the plugin in this process, like its main function, with separate directories.
func (i pluginCall) call(t *testing.T) (a answer) {
	t.Helper()
	dir := t.TempDir()
	host := invocation.Host{
		Now: time.Now, ReadFile: safeopen.Read, Hostname: os.Hostname, UserAgent: "calico-cni-test",
		OpenLog: invocation.LogTo(&bytes.Buffer{}, time.Now),
		State:   filepath.Join(dir, "state"), Keep: filepath.Join(dir, "keep"),
	}
	if i.prepare != nil {
		i.prepare(t, host)
	}
	environment := map[string]string{
		"CNI_COMMAND": i.verb, "CNI_CONTAINERID": containerID(t),
		"CNI_IFNAME": "eth0", "CNI_NETNS": filepath.Join(dir, "netns"), "CNI_PATH": dir,
	}
	for name, value := range i.env {
		environment[name] = value
	}
	stdin := configuration(t, dir, i.changes)
	if i.stdin != nil {
		stdin = *i.stdin
	}
	var stdout, stderr bytes.Buffer
	p := &ipamplugin.Plugin{Host: host}
	a.exit = dispatch.Run(t.Context(),
		dispatch.Process{
			Getenv: func(name string) string { return environment[name] },
			Stdin:  strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr,
		},
		dispatch.Plugin{
			About: "calico-ipam", Add: p.Add, Del: p.Del, Check: p.Check, Status: p.Status, GC: p.GC,
			Code: func(err error) *types.Error { a.err = err; return cnierr.From(err) },
		})
	a.stdout = stdout.String()
	return a
}

// containerID returns the container of a test's calls.
func containerID(t *testing.T) string {
	t.Helper()
	id := "c" + strings.ToLower(strings.NewReplacer("/", "", "_", "", "#", "").Replace(t.Name()))
	return id[:min(64, len(id))]
}

// configuration returns a valid configuration with changes.
func configuration(t *testing.T, dir string, changes map[string]any) string {
	t.Helper()
	conf := map[string]any{
		"cniVersion": "1.1.0", "name": "net", "type": "calico", "nodename": "node-1", "nodename_file_optional": true,
		"nodename_file": filepath.Join(dir, "nodename"), "ipam_lock_file": filepath.Join(dir, "ipam.lock"),
		"ipam":       map[string]any{"type": "calico-ipam"},
		"kubernetes": map[string]any{"kubeconfig": filepath.Join(dir, "kubeconfig")},
		"policy":     map[string]any{"type": "k8s", "k8s_auth_token": secret},
	}
	for path, value := range changes {
		at, keys := conf, strings.Split(path, ".")
		for _, key := range keys[:len(keys)-1] {
			at = at[key].(map[string]any)
		}
		if at[keys[len(keys)-1]] = value; value == nil {
			delete(at, keys[len(keys)-1])
		}
	}
	data, err := json.Marshal(conf)
	must(t, err)
	return string(data)
}

// cluster returns the API server with the CRDs and the node of the configuration.
func cluster(t testing.TB) *apiserver.Server {
	t.Helper()
	s := apiserver.ForTest(t)
	once.Do(func() {
		crds := os.DirFS(filepath.Join("..", "..", "deploy", "crds", "v1"))
		if errCluster = s.Admin().ApplyCRDs(context.Background(), crds); errCluster == nil {
			_, errCluster = s.Admin().CreateNode(context.Background(), "node-1")
		}
	})
	must(t, errCluster)
	return s
}

var (
	once       sync.Once
	errCluster error
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes a text to a new file and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
