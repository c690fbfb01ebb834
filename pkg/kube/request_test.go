// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/kubeapi"
)

func TestRequestFormat(t *testing.T) {
	var got string
	s := listen(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = fmt.Sprintf("%s %s %s\naccept %s\ncontent %s\n%s", r.Proto, r.Method, r.URL, r.Header.Get("Accept"),
			r.Header.Get("Content-Type"), body)
		if agent := r.UserAgent(); agent != "calico-cni/test" {
			t.Errorf("user agent %q", agent)
		}
	})
	c := loaded(t, trusting(s), "")
	ctx := t.Context()
	table := kubeapi.NewObjects[contents](c, "crd.projectcalico.org/v1", "ippools")
	untracked := table
	untracked.Untracked = true
	thing := &kubeapi.Object[contents]{
		APIVersion: "g/v1", Kind: "Thing",
		Metadata: kubeapi.Metadata{Name: "a", UID: "u", ResourceVersion: "7"}, Spec: contents{1},
	}
	var tracked kubeapi.Object[contents]
	if err := json.Unmarshal([]byte(`{"apiVersion":"g/v1","kind":"Thing","metadata":{"name":"a","uid":"u",`+
		`"resourceVersion":"7","managedFields":[{"manager":"x"}],"annotations":{"b":"c"}},"spec":{"a":1}}`),
		&tracked); err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		make func() error
		want string
	}{
		{
			func() error { _, err := kubeapi.Pod(ctx, c, "a", "b"); return err },
			"GET /api/v1/namespaces/a/pods/b?timeout=15s\naccept " + metadataOnly + "\ncontent \n",
		},
		{
			func() error { _, err := kubeapi.PodCIDRs(ctx, c, "a"); return err },
			"GET /api/v1/nodes/a?timeout=15s\naccept application/json\ncontent \n",
		},
		{
			func() error {
				_, err := table.List(ctx, kubeapi.ListOptions{Selector: "!a,b=c", Cached: true})
				return err
			},
			"GET /apis/crd.projectcalico.org/v1/ippools?labelSelector=%21a%2Cb%3Dc" +
				"&resourceVersion=0&timeout=15s\naccept application/json\ncontent \n",
		},
		{
			func() error { _, err := table.GetCached(ctx, "a"); return err },
			"GET /apis/crd.projectcalico.org/v1/ippools/a?resourceVersion=0&timeout=15s\naccept " +
				"application/json\ncontent \n",
		},
		{
			func() error {
				_, err := untracked.Create(ctx, "a", &kubeapi.Object[contents]{
					APIVersion: "g/v1", Kind: "Thing",
					Metadata: kubeapi.Metadata{Name: "a"},
				})
				return err
			},
			"POST /apis/crd.projectcalico.org/v1/ippools?timeout=15s\naccept " + metadataOnly +
				"\ncontent application/json\n" +
				`{"apiVersion":"g/v1","kind":"Thing","metadata":{"name":"a"},"spec":{"a":0}}`,
		},
		{
			func() error { _, err := table.Update(ctx, "a", &tracked); return err },
			"PUT /apis/crd.projectcalico.org/v1/ippools/a?timeout=15s\naccept " + metadataOnly +
				"\ncontent application/json\n" +
				`{"apiVersion":"g/v1","kind":"Thing","metadata":{"name":"a","uid":"u","resourceVersion":"7",` +
				`"annotations":{"b":"c"},"managedFields":[{"manager":"x"}]},"spec":{"a":1}}`,
		},
		{
			func() error { _, err := untracked.Update(ctx, "a", &tracked); return err },
			"PUT /apis/crd.projectcalico.org/v1/ippools/a?timeout=15s\naccept " + metadataOnly +
				"\ncontent application/json\n" +
				`{"apiVersion":"g/v1","kind":"Thing","metadata":{"name":"a","uid":"u","resourceVersion":"7",` +
				`"annotations":{"b":"c"},"managedFields":[{}]},"spec":{"a":1}}`,
		},
		{
			func() error { _, err := untracked.Update(ctx, "a", thing); return err },
			"PUT /apis/crd.projectcalico.org/v1/ippools/a?timeout=15s\naccept " + metadataOnly +
				"\ncontent application/json\n" +
				`{"apiVersion":"g/v1","kind":"Thing","metadata":{"name":"a","uid":"u","resourceVersion":"7"},` +
				`"spec":{"a":1}}`,
		},
		{
			func() error { return table.Delete(ctx, "a", "u", "7") },
			"DELETE /apis/crd.projectcalico.org/v1/ippools/a?timeout=15s\naccept application/json\ncontent " +
				"application/json\n" +
				`{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"u","resourceVersion":"7"}}`,
		},
		{
			func() error {
				return kubeapi.AnnotatePod(ctx, c, "a", kubeapi.Meta{Name: "b", UID: "u"}, map[string]*string{"c": nil})
			},
			"PATCH /api/v1/namespaces/a/pods/b/status?timeout=15s\naccept " + metadataOnly +
				"\ncontent application/merge-patch+json\n" +
				`{"metadata":{"uid":"u","annotations":{"c":null}}}`,
		},
		{
			func() error {
				return kubeapi.AnnotatePodIf(ctx, c, "a", "b", map[string]string{"x/y~": "1"}, map[string]string{"z": "2"})
			},
			"PATCH /api/v1/namespaces/a/pods/b/status?timeout=15s\naccept " + metadataOnly +
				"\ncontent application/json-patch+json\n" +
				`[{"op":"test","path":"/metadata/annotations/x~1y~0","value":"1"},{"op":"replace",` +
				`"path":"/metadata/annotations/z","value":"2"}]`,
		},
	} {
		if err := r.make(); err != nil {
			t.Error(err)
		}
		if want := "HTTP/2.0 " + r.want; got != want {
			t.Errorf("the server sees\n%s\nwant\n%s", got, want)
		}
	}
}

func TestServerIsURLOrHostAndPort(t *testing.T) {
	for server, want := range map[string]string{
		"https://h":                 "https://h/version",
		"https://h:6443/":           "https://h:6443/version",
		"https://[fd00::1]:6443":    "https://[fd00::1]:6443/version",
		"https://h/k8s/clusters/c1": "https://h/k8s/clusters/c1/version",
		"https://h/a/?x=y#z":        "https://h/a/version",
		"h":                         "http://h/version",
		"h:8080":                    "http://h:8080/version",
		"10.0.0.1:8080/":            "http://10.0.0.1:8080/version",
		"h/path":                    "",
		"ftp://h":                   "",
		"https://":                  "",
		"":                          "",
	} {
		got := ""
		if u, err := serverURL(server); err == nil {
			c := &Client{sender: &sender{server: u}, explainer: &explainer{server: u}}
			got = strings.TrimSuffix(c.sender.url(kubeapi.Request{Path: "/version"}), "?timeout=15s")
			if !strings.HasPrefix(got, strings.TrimSuffix(c.Host(), "/")) {
				t.Errorf("%q is shown as %q", server, c.Host())
			}
		} else if !errors.Is(err, errServer) {
			t.Errorf("%s: %v", server, err)
		}
		if got != want {
			t.Errorf("%q is asked at %q, want %q", server, got, want)
		}
	}
}

// TestRequestEndsWithContext hangs if the context is ignored.
func TestRequestEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1000000")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, "Too many requests, please try again later.\n")
		time.AfterFunc(50*time.Millisecond, cancel)
	})
	err := loaded(t, trusting(s), "").Ping(ctx)
	if !errors.Is(err, kubeapi.ErrUnavailable) {
		t.Fatalf("Ping = %v, want ErrUnavailable", err)
	}
	says(t, err, "429 Too Many Requests", "please try again later.")
}

func TestCredentialsAreNotSentToOtherHosts(t *testing.T) {
	seen := map[string]string{}
	record := func(where string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			seen[where+r.URL.Path] = credentialsOf(r)
			if to := r.Header.Get("User-Agent"); where == "api" && r.URL.Path == "/version" {
				http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			}
		}
	}
	other := listen(t, record("other"))
	s := listen(t, record("api"))
	ask := func(method, to string) error {
		clear(seen)
		c := loaded(t, trusting(s), "token: t")
		c.sender.userAgent = to // tells the server where to redirect to
		_, err := c.Do(t.Context(), kubeapi.Request{Action: "ask", Method: method, Path: "/version"})
		return err
	}
	if err := ask(http.MethodGet, "/elsewhere"); err != nil || seen["api/elsewhere"] != "Authorization: Bearer t" {
		t.Errorf("to another path: %v, %v", err, seen)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if err := ask(method, other.URL+"/"); !errors.Is(err, kubeapi.ErrNotServed) || len(seen) != 1 {
			t.Errorf("to another host: %v, %v", err, seen)
		} else {
			says(t, err, "redirect to another server")
		}
	}
	if err := ask(http.MethodPost, "/elsewhere"); !errors.Is(err, kubeapi.ErrNotServed) || len(seen) != 1 {
		t.Errorf("a write to another path: %v, %v", err, seen)
	}
}

func TestProxyOfKubeconfig(t *testing.T) {
	s := listen(t, func(http.ResponseWriter, *http.Request) {})
	var got string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Method + " " + r.Host + " " + r.Header.Get("Proxy-Authorization")
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	err := loaded(t, trusting(s)+", proxy-url: '"+strings.Replace(proxy.URL, "//", "//u:"+secret+"@", 1)+"'",
		"").Ping(t.Context())
	if !errors.Is(err, kubeapi.ErrUnavailable) {
		t.Fatalf("Ping = %v, want ErrUnavailable", err)
	}
	says(t, err)
	if want := "CONNECT " + strings.TrimPrefix(s.URL, "https://") + " Basic "; !strings.HasPrefix(got, want) {
		t.Errorf("the proxy is asked %q, want %q", got, want)
	}
}

// TestProxyOfEnvironment runs itself in a subprocess, because net/http reads the environment only once.
func TestProxyOfEnvironment(t *testing.T) {
	if server := os.Getenv("TEST_SERVER"); server != "" {
		c := loaded(t, "server: '"+server+"'", "")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.sender.url(kubeapi.Request{Path: "/"}), nil)
		if err != nil {
			t.Fatal(err)
		}
		proxy, err := c.sender.transport.negotiated.Proxy(r)
		fmt.Println("proxy", proxy, err)
		return
	}
	for server, want := range map[string]string{
		"https://api.test:6443": "proxy http://proxy.test:3128 <nil>", "https://10.96.0.1": "proxy <nil> <nil>",
		"https://a.excepted.test": "proxy <nil> <nil>",
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = []string{
			"TEST_SERVER=" + server, "HTTPS_PROXY=http://proxy.test:3128",
			"NO_PROXY=10.96.0.0/12,.excepted.test", "TMPDIR=" + t.TempDir(),
		}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want+"\n") {
			t.Errorf("%s: %v, want %s:\n%s", server, err, want, out)
		}
	}
}
