// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/kubeapi"
)

// plugged writes a kubeconfig with a credential plugin, and beside it the plugin: a shell script.
func plugged(t *testing.T, cluster, version, script, more string) *Client {
	t.Helper()
	file := write(t, kubeconfig(cluster,
		fmt.Sprintf("exec: {apiVersion: client.authentication.k8s.io/%s, command: ./plugin, interactiveMode: Never%s}",
			version, more)))
	put(t, filepath.Dir(file), "plugin", []byte("#!/bin/sh\ncd \"$(dirname \"$0\")\"\n"+script), 0o700)
	c, err := Load(file, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// prints returns a script that prints an ExecCredential with the given fields of its status.
func prints(version, status string) string {
	return fmt.Sprintf("echo run >>runs\ncat <<END\n{\"apiVersion\": \"client.authentication.k8s.io/%s\", \"kind\": "+
		"\"ExecCredential\", \"status\": {%s}}\nEND\n", version, status)
}

func TestCredentialPluginRunsOnceWithArgumentsAndEnvironment(t *testing.T) {
	var got string
	s := listen(t, func(_ http.ResponseWriter, r *http.Request) { got = credentialsOf(r) })
	for _, version := range []string{"v1", "v1beta1"} {
		c := plugged(t, trusting(s), version, prints(version, `"token": "$1-$A-$CNI_TEST"`),
			", args: [x], env: [{name: A, value: why}]")
		t.Setenv("CNI_TEST", "z")
		for range 3 {
			if err := c.Ping(t.Context()); err != nil || got != "Authorization: Bearer x-why-z" {
				t.Errorf("%v, and the server sees %q", err, got)
			}
		}
		runs, err := os.ReadFile(filepath.Join(filepath.Dir(c.sender.identity.plugin.Command), "runs"))
		if err != nil || string(runs) != "run\n" {
			t.Errorf("it was run %d times (%v), want once", strings.Count(string(runs), "\n"), err)
		}
	}
}

func TestCredentialPluginReceivesCluster(t *testing.T) {
	s := listen(t, func(http.ResponseWriter, *http.Request) {})
	cluster := "server: '" + s.URL + "', insecure-skip-tls-verify: true, tls-server-name: srv, " +
		"extensions: [{name: client.authentication.k8s.io/exec, extension: {audience: b}}, {name: other, extension: " +
		"{a: 1}}]"
	for more, want := range map[string]string{
		"": `{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}}`,
		", provideClusterInfo: true": `{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",` +
			`"spec":{"cluster":{"server":"` + s.URL +
			`","tls-server-name":"srv","insecure-skip-tls-verify":true,"config":{"audience":"b"}},` +
			`"interactive":false}}`,
	} {
		c := plugged(t, cluster, "v1", "echo \"$KUBERNETES_EXEC_INFO\" >info\n"+prints("v1", `"token": "t"`), more)
		if err := c.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		info, err := os.ReadFile(filepath.Join(filepath.Dir(c.sender.identity.plugin.Command), "info"))
		if err != nil || strings.TrimSpace(string(info)) != want {
			t.Errorf("%v\ngot %s\nwant %s", err, info, want)
		}
	}
}

func TestCredentialPluginRunsAgainAfterRejection(t *testing.T) {
	good, refusals := "Authorization: Bearer 1", 0
	s := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if credentialsOf(r) != good {
			refusals++
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	c := plugged(t, trusting(s), "v1", prints("v1", `"token": "$(grep -c . runs)"`), "")
	for _, step := range []struct {
		good     string
		refusals int
		refused  bool
	}{{"1", 0, false}, {"2", 1, false}, {"never", 2, true}} {
		good, refusals = "Authorization: Bearer "+step.good, 0
		if err := c.Ping(t.Context()); errors.Is(err, kubeapi.ErrUnauthorized) != step.refused || refusals != step.refusals {
			t.Errorf("%s: %v after %d refusals, want %d", step.good, err, refusals, step.refusals)
		}
	}
}

func TestCredentialPluginCertificateIsUsedAndRenewed(t *testing.T) {
	var good string
	s := listen(t, func(w http.ResponseWriter, r *http.Request) {
		if credentialsOf(r) != good {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	c := plugged(t, trusting(s), "v1", "cat credential\n", "")
	for _, name := range []string{"first", "second"} {
		cert, key := certificate(t, name)
		data, err := json.Marshal(map[string]any{
			"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
			"status": map[string]string{"clientCertificateData": string(cert), "clientKeyData": string(key)},
		})
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Dir(c.sender.identity.plugin.Command), "credential", data, 0o600)
		good = "certificate: " + name
		if err := c.Ping(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCredentialPluginErrorsOmitOutput(t *testing.T) {
	s := listen(t, func(http.ResponseWriter, *http.Request) { t.Error("a request without credentials") })
	for name, c := range map[string]struct{ script, says string }{
		"exit": {
			"echo " + secret + " >&2; exit 3",
			"it exits with code 3; check what it prints when it is run on this node",
		},
		"no JSON": {"echo " + secret, "prints no ExecCredential"},
		"another kind": {
			`echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"` + secret + `"}'`,
			"prints no ExecCredential",
		},
		"another version": {prints(secret, `"token": "t"`), "another apiVersion"},
		"nothing":         {"true", "prints nothing"},
		"no status": {
			`echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential"}'`,
			"without status",
		},
		"empty status":   {prints("v1", ""), "neither a token nor a client certificate"},
		"blank token":    {prints("v1", `"token": " \\n"`), "neither a token nor a client certificate"},
		"token of lines": {prints("v1", `"token": "`+secret+`\\nb"`), "write the bearer token in one line"},
		"no PEM": {
			prints("v1", `"clientCertificateData": "`+secret+`", "clientKeyData": "x"`),
			"no certificate in PEM",
		},
		"half a pair": {prints("v1", `"clientCertificateData": "`+secret+`"`), "only one of"},
		"without end": {"yes " + secret, "exceeds 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			err := plugged(t, trusting(s), "v1", c.script,
				", args: ["+secret+"], env: [{name: A, value: "+secret+"}]").Ping(t.Context())
			if !errors.Is(err, kubeapi.ErrUnavailable) {
				t.Fatalf("Ping = %v, want ErrUnavailable", err)
			}
			says(t, err, "get version", "credential plugin", c.says)
		})
	}
}

// TestUnstartableCredentialPluginIsReported: the message names the program, where it was looked up, and the remedy.
func TestUnstartableCredentialPluginIsReported(t *testing.T) {
	s := listen(t, func(http.ResponseWriter, *http.Request) { t.Error("a request without credentials") })
	t.Setenv("PATH", "/usr/bin:/bin")
	dir := t.TempDir()
	text := put(t, dir, "text", []byte("#!/bin/sh\n"), 0o600)
	data := put(t, dir, "data", []byte("data"), 0o700)
	script := put(t, dir, "script", []byte("#!/none/sh\n"), 0o700)
	for command, want := range map[string]string{
		"aws-iam-login": "aws-iam-login: no such file in PATH (/usr/bin:/bin); install it on this node, or write " +
			"its full path as command",
		dir + "/none": dir + "/none: no such file; install it on this node, or correct command",
		text:          text + ": the file is not executable",
		data:          data + ": the file is not a program for this architecture",
		script:        script + ": its interpreter, in the #! line, or its dynamic loader does not exist",
		"aws, installHint": "aws: no such file in PATH (/usr/bin:/bin); install it on this node, or write its full " +
			"path as command; the kubeconfig says: see the wiki",
	} {
		if command == "aws, installHint" {
			command = `aws, installHint: "see\nthe wiki"`
		}
		client := loaded(t, trusting(s),
			"exec: {apiVersion: client.authentication.k8s.io/v1, command: "+command+", interactiveMode: Never}")
		err := client.Ping(t.Context())
		if !errors.Is(err, kubeapi.ErrUnavailable) {
			t.Errorf("Ping = %v, want ErrUnavailable", err)
			continue
		}
		says(t, err, "run the credential plugin (exec) of the kubeconfig: "+want)
	}
}

// TestCredentialPluginEndsWithContext hangs if the context is ignored.
func TestCredentialPluginEndsWithContext(t *testing.T) {
	s := listen(t, func(http.ResponseWriter, *http.Request) { t.Error("a request without credentials") })
	c := plugged(t, trusting(s), "v1", "exec sleep 1000000", "")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := c.Ping(ctx)
	if !errors.Is(err, kubeapi.ErrUnavailable) {
		t.Fatalf("Ping = %v, want ErrUnavailable", err)
	}
	says(t, err, "credential plugin", "it does not end in time")
}

func TestCredentialPluginThatHangsIsStopped(t *testing.T) {
	s := listen(t, func(http.ResponseWriter, *http.Request) { t.Error("a request without credentials") })
	c := plugged(t, trusting(s), "v1", "exec sleep 1000000", "")
	c.sender.identity.plugin.timeout = 50 * time.Millisecond
	err := c.Ping(t.Context())
	if !errors.Is(err, kubeapi.ErrUnavailable) || strings.Contains(err.Error(), kubeapi.ErrUnavailable.Error()) {
		t.Fatalf("Ping = %v, want ErrUnavailable without blame of the API server", err)
	}
	says(t, err, "credential plugin", "it does not end within 50ms", "whether it waits for input")
}

func TestCredentialPluginIsNotUsedWithOtherCredentials(t *testing.T) {
	s := listen(t, func(http.ResponseWriter, *http.Request) {})
	cert, key := certificate(t, "someone")
	b64 := base64.StdEncoding.EncodeToString
	pair := fmt.Sprintf("client-certificate-data: %s, client-key-data: %s", b64(cert), b64(key))
	for _, user := range []string{"token: t", "username: u, password: p", pair} {
		c := loaded(t, trusting(s), user+", exec: {apiVersion: client.authentication.k8s.io/v1, command: /nowhere, "+
			"interactiveMode: Never}")
		if err := c.Ping(t.Context()); err != nil {
			t.Errorf("%s: %v", user, err)
		}
	}
}
