// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/kubeapi"
)

// expiredToken returns a token that expired in 1970, according to its claim.
func expiredToken() string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{}`)) + "." + part([]byte(`{"exp":1}`)) + "." + part([]byte("x"))
}

// named returns the path of a new kubeconfig with the given file name.
func named(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// refusing is a server that rejects all credentials.
func refusing(w http.ResponseWriter, _ *http.Request) {
	fail(w, http.StatusUnauthorized, "Unauthorized", "")
}

// TestRemediesMatchCredentials uses rejected credentials of every kind. The remedy must match the program that renews
// them. Only the kubeconfig of the install container is renewed by the install container.
func TestRemediesMatchCredentials(t *testing.T) {
	s := listen(t, refusing)
	token, cluster := expiredToken(), trusting(s)
	pem, key := certificate(t, "client")
	mount := t.TempDir()
	ca := put(t, mount, "ca.crt", caOf(s), 0o600)
	tokenFile := put(t, mount, "token", []byte(token), 0o600)
	host, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
	data := base64.StdEncoding.EncodeToString
	file := func(name, user string) func() (*Client, error) {
		return func() (*Client, error) { return Load(named(t, name, kubeconfig(cluster, user)), "test") }
	}
	program := put(t, mount, "login", []byte("#!/bin/sh\ncd "+mount+"\n"+prints("v1", `"token": "t"`)), 0o700)
	for name, c := range map[string]struct {
		reason, remedy string
		load           func() (*Client, error)
		// expires says that the credentials have an expiry.
		expires bool
	}{
		"token of the install container": {
			"its token has expired", "the watching install container renews it",
			file(InstalledName, "token: "+token), true,
		},
		"token": {
			"its token has expired", "write a new token there",
			file("kubeconfig", "token: "+token), true,
		},
		"token file": {"its token has expired", "see why the token in tokenFile " + tokenFile +
			" is not renewed", file("kubeconfig", "tokenFile: "+tokenFile), true},
		"client certificate": {
			"its client certificate has expired, or is not signed by the client CA",
			"write a new client certificate and its key there",
			file("kubeconfig", "client-certificate-data: "+data(pem)+", client-key-data: "+data(key)), false,
		},
		"client certificate in files": {
			"its client certificate has expired", "renew the client certificate " + filepath.Join(mount, "client.crt"),
			file("kubeconfig", fmt.Sprintf("client-certificate: %s, client-key: %s",
				put(t, mount, "client.crt", pem, 0o600), put(t, mount, "client.key", key, 0o600))), false,
		},
		"password": {
			"its user name or password is wrong", "set a token or a client certificate instead",
			file("kubeconfig", "username: u, password: p"), false,
		},
		"credential plugin": {
			"its credential plugin (exec) prints credentials that have expired", "run " + program + " on this node",
			file("kubeconfig", "exec: {apiVersion: client.authentication.k8s.io/v1, "+
				"command: "+program+", interactiveMode: Never}"), false,
		},
		"supplied token": {"its token has expired", "write a new token there", func() (*Client, error) {
			return LoadSupplied(named(t, InstalledName, kubeconfig(cluster, "token: "+token)), "test")
		}, true},
		"pod": {
			"its token has expired", "the kubelet renews it",
			func() (*Client, error) { return podClient(mount, host, port, "test") }, true,
		},
		"CNI configuration": {
			"its token has expired", "write a new token there",
			func() (*Client, error) { return Direct{Server: s.URL, Token: token, CA: ca}.Client("test") }, true,
		},
	} {
		client, err := c.load()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer client.Close()
		all := map[string]error{"401: " + c.reason: client.Ping(t.Context())}
		if c.expires {
			all["expiry: expired at 1970-01-01T00:00:01Z"] = client.CheckExpiry(time.Now())
		}
		for what, err := range all {
			if err == nil {
				t.Fatalf("%s, %s: no error", name, what)
			}
			_, says1, _ := strings.Cut(what, ": ")
			says(t, err, says1, c.remedy)
			if ours := strings.Contains(c.remedy, "install container"); strings.Contains(err.Error(),
				"install container") != ours {
				t.Errorf("%s: %q names the install container: want %t", name, err, ours)
			}
		}
	}
}

func TestRemediesForWrongCAMatchOrigin(t *testing.T) {
	s := listen(t, refusing)
	other, _ := certificate(t, "other")
	path := put(t, t.TempDir(), "other.crt", other, 0o600)
	inline := kubeconfig("server: '"+s.URL+"', certificate-authority-data: "+base64.StdEncoding.EncodeToString(other),
		"token: t")
	inFile := kubeconfig("server: '"+s.URL+"', certificate-authority: "+path, "token: t")
	for _, c := range []struct {
		name, text, remedy string
		load               func(string, string) (*Client, error)
	}{
		{InstalledName, inline, "the watching install container renews it", Load},
		{"kubeconfig", inline, "replace its certificate-authority by that of the cluster", Load},
		{InstalledName, inline, "replace its certificate-authority by that of the cluster", LoadSupplied},
		{"kubeconfig", inFile, "replace the CA certificate " + path + " by that of the cluster", Load},
	} {
		client, err := c.load(named(t, c.name, c.text), "test")
		if err != nil {
			t.Fatal(err)
		}
		says(t, client.Ping(t.Context()), "is not signed by the CA certificate in kubeconfig", c.remedy)
	}
}

// TestRemediesMatchRefusals uses unsuccessful responses of the API server and of proxies. The remedy must match the
// cause, and must not describe another one.
func TestRemediesMatchRefusals(t *testing.T) {
	const (
		role      = "no ClusterRole grants this right to the user of kubeconfig "
		admission = "an admission webhook, policy or plugin of the API server refuses the request"
		schema    = "apply the CustomResourceDefinitions of this version"
		unreached = "answers from this node"
		proxy     = "the load balancer or proxy in front of it"
	)
	for _, c := range []struct {
		name          string
		code          int
		kind, message string
		remedy, not   string
		// core requests an object of the core group.
		core bool
	}{
		{
			"RBAC", 403, jsonType, `things is forbidden: User "u" cannot list resource "things" in API group "g" at the ` +
				`cluster scope`, role, admission, false,
		},
		{
			"admission webhook", 403, jsonType, `admission webhook "w" denied the request: User "u" is unknown`, admission,
			"ClusterRole", false,
		},
		{"admission plugin", 403, jsonType, `things "t" is forbidden: exceeded quota: q`, admission, "ClusterRole", false},
		{"webhook without a code", 400, jsonType, `admission webhook "w" denied the request: no`, admission, schema, false},
		{
			"policy", 422, jsonType, `things "t" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied ` +
				`request: no`, admission, schema, false,
		},
		{"schema", 422, jsonType, `Thing "t" is invalid: spec.cidr: Required value`, schema, admission, false},
		{"core object", 422, jsonType, `Node "n" is invalid`, "check whether an admission webhook", schema, true},
		{"too large", 413, jsonType, "Request entity too large: limit is 3145728", schema, admission, false},
		{"too many requests", 429, jsonType, "too many requests", "retry, or lower the load", unreached, false},
		{"too many requests, no Status", 429, "text/plain", "", "retry, or lower the load", unreached, false},
		{
			"full etcd", 500, jsonType, "etcdserver: mvcc: database space exceeded", "see the log of the API server at https://",
			unreached, false,
		},
		{"gateway", 502, "text/html", "", proxy, unreached, false},
		{"request timeout", 408, "text/plain", "", proxy, unreached, false},
	} {
		s := listen(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.WriteHeader(c.code)
			if c.kind == jsonType {
				_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "message": c.message})
			}
		})
		client := loaded(t, trusting(s), "token: t")
		_, err := kubeapi.NewObjects[struct{}](client, "g/v1", "things").List(t.Context(), kubeapi.ListOptions{})
		if c.core {
			_, err = kubeapi.Node(t.Context(), client, "n")
		}
		if err == nil || !strings.Contains(err.Error(), c.remedy) || strings.Contains(err.Error(), c.not) {
			t.Errorf("%s: %v: want %q, not %q", c.name, err, c.remedy, c.not)
		}
	}
}
