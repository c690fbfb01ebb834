// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"

	"calico-cni/test/node"
)

// lines returns the lines of a log that contain all parts.
func lines(log string, parts ...string) []string {
	var out []string
	for line := range strings.Lines(log) {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			out = append(out, line)
		}
	}
	return out
}

// expectOneLine expects exactly one line with all parts, on standard error and in the file.
func expectOneLine(t *testing.T, a node.Answer, file string, parts ...string) {
	t.Helper()
	for where, log := range map[string]string{"standard error": a.Stderr, "the file": read(file)} {
		if got := lines(log, parts...); len(got) != 1 {
			t.Errorf("%d lines of %s have %q, want one:\n%s", len(got), where, parts, log)
		}
	}
}

func TestCommandLogsOneSummaryLine(t *testing.T) {
	for _, plugin := range both {
		p := newPod(t, "log-"+plugin)
		file := func(verb string) string { return filepath.Join(t.TempDir(), plugin, "sub", verb+".log") }
		run := func(verb, path string, more ...any) node.Answer {
			return ask(t, plugin, verb, p, plus(map[string]any{"name": "log-" + plugin, "log_file_path": path},
				more...))
		}
		path := file("add")
		added := run("ADD", path)
		who := []string{
			"network=log-" + plugin, "pod=default/" + p.Name, "container=" + p.ContainerID, "ifname=eth0",
			"took=",
		}
		got := addrs(t, resultOf(t, added))
		held := append(who, got[0].String(), got[1].String())
		expectOneLine(t, added, path, append(held, `msg="ADD done"`)...)
		expectLines(t, added.Stderr, 1)
		path = file("check")
		expectOneLine(t, run("CHECK", path, "prevResult", json.RawMessage(added.Stdout)), path,
			append(held, `msg="CHECK done"`)...)
		path = file("del")
		deleted := run("DEL", path)
		expectOneLine(t, deleted, path, append(held, `msg="DEL done"`)...)
		expectLines(t, deleted.Stderr, 1)
		path = file("gc")
		expectOneLine(t, run("GC", path, "cni.dev/valid-attachments", []any{}), path, `msg="GC done"`,
			"network=log-"+plugin, "took=")
		path = file("failed")
		failed := run("ADD", path, "ipam.ipv4_pools", []string{"no-such-pool"})
		expectOneLine(t, failed, path, append(who, `msg="ADD failed"`, "level=ERROR", "no-such-pool")...)
		path = file("quiet")
		if a := run("DEL", path, "log_level", "error"); a.Stderr != "" || read(path) != "" {
			t.Errorf("with log_level error, a DEL that succeeds says: %s%s", a.Stderr, read(path))
		}
	}
}

func expectLines(t *testing.T, log string, want int) {
	t.Helper()
	if got := strings.Count(log, "\n"); got != want {
		t.Errorf("the log has %d lines, want %d:\n%s", got, want, log)
	}
}

func TestDebugLevelLogsSteps(t *testing.T) {
	p := newPod(t, "log-steps")
	path := filepath.Join(t.TempDir(), "log")
	loud := map[string]any{"log_level": "debug", "log_file_path": path}
	a := attach(t, "calico", p, loud)
	for _, step := range []string{"read node", "read cluster", "admit", "assign addresses", "attach"} {
		expectOneLine(t, a, path, `msg="ADD step"`, "level=DEBUG", "step="+quoted(step), "took=")
	}
	expectOneLine(t, a, path, `msg="ADD done"`)
	expectOneLine(t, call(t, "DEL", p, loud), path, `msg="DEL step"`, `step="tear down"`, "took=")
}

// quoted returns a value in the text format of slog.
func quoted(s string) string {
	if strings.Contains(s, " ") {
		return fmt.Sprintf("%q", s)
	}
	return s + " "
}

// TestLogsAndOutputContainNoSecret puts secrets into the configuration, the kubeconfig, the pod and the arguments, and
// runs every command, with success and with failure.
func TestLogsAndOutputContainNoSecret(t *testing.T) {
	const inPod, inArgs, inConfig = "p0d-s3cr3t", "4rgs-s3cr3t", "c0nf-s3cr3t"
	path := filepath.Join(t.TempDir(), "log")
	p := newPod(t, "log-secret", func(p *corev1.Pod) {
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "PASSWORD", Value: inPod}}
		p.Annotations = map[string]string{"vendor.example/token": inPod}
	})
	token := tokenOf(t, n.Kubeconfig())
	secrets := []string{inPod, inArgs, inConfig, secret, token}
	loud := map[string]any{
		"log_level": "debug", "log_file_path": path, "policy.k8s_auth_token": inConfig,
		"policy.k8s_client_key": inConfig,
		"vendor":                map[string]any{"password": inConfig}, "args": map[string]any{"vendor": inConfig},
	}
	refused := kubeconfig(t, n.Server.URL())
	garbage := filepath.Join(t.TempDir(), "garbage")
	must(t, os.WriteFile(garbage, []byte("{{{ "+secret), 0o600))
	args := p.Args() + ";PASSWORD=" + inArgs
	for _, plugin := range both {
		named := plus(loud, "name", "log-secret-"+plugin)
		for i, c := range []struct {
			changes map[string]any
			args    string
		}{
			{named, args},
			{plus(named, "kubernetes.kubeconfig", refused), args},
			{plus(named, "kubernetes.kubeconfig", garbage), args},
			{plus(named, "kubernetes.kubeconfig", "", "kubernetes.k8s_api_root", n.Server.URL()), args},
			{plus(named, "etcd_endpoints", "http://u:"+inConfig+"@a", "datastore_type", ""), args},
			{plus(named, "readiness_gates", []string{"http://u:" + inConfig + "@127.0.0.1:1%"}), args},
			{plus(named, "policy", inConfig), args},
			{named, "PASSWORD=" + inArgs},
			{named, inArgs},
		} {
			for _, verb := range []string{"ADD", "CHECK", "STATUS", "GC", "DEL"} {
				a := ask(t, plugin, verb, p, valid(c.changes), "CNI_ARGS", c.args)
				for _, s := range secrets {
					if strings.Contains(a.Stdout+a.Stderr, s) {
						t.Errorf("%s %s, case %d: %s is in the output:\n%s\n%s", plugin, verb, i, s, a.Stdout, a.Stderr)
					}
				}
			}
		}
		expectOK(t, "DEL", ask(t, plugin, "DEL", p, named))
	}
	log := read(path)
	for _, s := range secrets {
		if got := lines(log, s); len(got) > 0 {
			t.Errorf("%s is in the log file:\n%s", s, got)
		}
	}
	if len(lines(log, "ADD step")) == 0 || len(lines(log, "ADD failed")) == 0 {
		t.Errorf("the log file has no steps and no failure:\n%s", log)
	}
}

// tokenOf returns the token of a kubeconfig.
func tokenOf(t *testing.T, path string) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(path)
	must(t, err)
	for _, user := range config.AuthInfos {
		if user.Token != "" {
			return user.Token
		}
	}
	t.Fatalf("%s has no token", path)
	return ""
}
