// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/credentials"
)

const secret = "installers-own-secret"

// server is an API server that answers requests for tokens.
type server struct {
	// answer returns the status code and the body for a request, bound to a Node or not.
	answer func(bound bool) (code int, body string)
	// requests has the path and the bound object of each request.
	requests []string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Spec struct {
			ExpirationSeconds int64
			BoundObjectRef    *struct{ Kind, Name string }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil && !errors.Is(err, io.EOF) {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	s.requests = append(s.requests, fmt.Sprintf("%s %s %d %v %s", r.Method, r.URL.Path, request.Spec.ExpirationSeconds,
		request.Spec.BoundObjectRef, r.Header.Get("Authorization")))
	code, body := s.answer(request.Spec.BoundObjectRef != nil)
	w.Header().Set("Content-Type", "application/json")
	if !strings.HasPrefix(body, "{") {
		w.Header().Set("Content-Type", http.DetectContentType([]byte(body)))
	}
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body)
}

// start returns an issuer for a pod with a service account at the server.
func (s *server) start(t *testing.T) Issuer {
	t.Helper()
	running := httptest.NewTLSServer(s)
	t.Cleanup(running.Close)
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: running.Certificate().Raw})
	for name, data := range map[string]string{"token": secret, "namespace": "kube-system", "ca.crt": string(ca)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host, port, err := net.SplitHostPort(strings.TrimPrefix(running.URL, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	return Issuer{
		Config: config.Config{
			ServiceAccountDir: dir, ServiceHost: host, ServicePort: port, ServiceAccount: "calico-cni-plugin",
		},
		UserAgent: "test", Log: slog.New(slog.DiscardHandler),
	}
}

const issued = `{"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {},
	"spec": {"audiences": ["a"], "expirationSeconds": 86400},
	"status": {"token": "T", "expirationTimestamp": "2036-01-02T03:04:05Z"}}`

// refusal is a Status as an API server sends it.
func refusal(code int, reason, message string) string {
	const status = `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": %d, "reason": %q, "message": %q}`
	return fmt.Sprintf(status, code, reason, message)
}

func TestTokenIsBoundToTheNode(t *testing.T) {
	s := &server{answer: func(bool) (int, string) { return 201, issued }}
	token, expires, err := s.start(t).Token(t.Context(), "worker-1")
	if want := time.Date(2036, 1, 2, 3, 4, 5, 0, time.UTC); err != nil || token != "T" || !expires.Equal(want) {
		t.Errorf("Token = %s, %s, %v", token, expires, err)
	}
	const want = "POST /api/v1/namespaces/kube-system/serviceaccounts/calico-cni-plugin/token 86400 &{Node worker-1} " +
		"Bearer " + secret
	if len(s.requests) != 1 || s.requests[0] != want {
		t.Errorf("requests %q; want %q", s.requests, want)
	}
}

// TestTokenIsUnboundWhereNodesAreNotSupported simulates API servers before Kubernetes 1.31, and one without the Node.
func TestTokenIsUnboundWhereNodesAreNotSupported(t *testing.T) {
	for code, reason := range map[int]string{400: "BadRequest", 422: "Invalid", 404: "NotFound"} {
		s := &server{answer: func(bound bool) (int, string) {
			if bound {
				return code, refusal(code, reason, "no such Node")
			}
			return 201, issued
		}}
		if token, _, err := s.start(t).Token(t.Context(), "worker-1"); err != nil || token != "T" || len(s.requests) != 2 {
			t.Errorf("%s: Token = %s, %v; requests %q", reason, token, err, s.requests)
		}
	}
}

func TestTokenErrorsNameTheCauseAndARemedy(t *testing.T) {
	const page = "<html>please log in</html>"
	for _, tt := range []struct {
		name string
		code int
		body string
		want error
		says string
	}{
		{
			"unauthorized", 401, refusal(401, "Unauthorized", "Unauthorized"), credentials.ErrRefused,
			"does not accept the token of the pod's service account in ",
		},
		{"forbidden", 403, refusal(403, "Forbidden", "no"), ErrForbidden, "as the ClusterRole calico-cni-install does"},
		{"no account", 404, refusal(404, "NotFound", "gone"), nil, "create the service account"},
		{"login page", 401, page, nil, "a login page answers at https://127.0.0.1:"},
		{
			"error of the server", 500, refusal(500, "InternalError", "etcd is down"), nil,
			"the API server answers: etcd is down",
		},
	} {
		s := &server{answer: func(bool) (int, string) { return tt.code, tt.body }}
		_, _, err := s.start(t).Token(t.Context(), "worker-1")
		if err == nil || !strings.Contains(err.Error(), tt.says) || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v; want %v with %q", tt.name, err, tt.want, tt.says)
			continue
		}
		const what = "request token of service account kube-system/calico-cni-plugin: "
		if text := err.Error(); !strings.HasPrefix(text, what) || strings.Contains(text, secret) ||
			tt.want == nil && errors.Is(err, credentials.ErrRefused) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestTokenDoesNotBlockOnSpecialFiles uses a FIFO in place of each file that the issuer reads.
func TestTokenDoesNotBlockOnSpecialFiles(t *testing.T) {
	for _, name := range []string{"token", "ca.crt", "namespace", "kubeconfig"} {
		i := (&server{answer: func(bool) (int, string) { return 201, issued }}).start(t)
		path := filepath.Join(i.Config.ServiceAccountDir, name)
		if name == "kubeconfig" {
			i.Config.Kubeconfig = path
		} else if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := i.Token(t.Context(), "worker-1")
		if !errors.Is(err, safeopen.ErrNotRegular) || !strings.Contains(err.Error(), path+" is a FIFO") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTokenNamesAServerThatDoesNotAnswer(t *testing.T) {
	i := (&server{}).start(t)
	i.Config.ServicePort = "1"
	_, _, err := i.Token(t.Context(), "worker-1")
	if err == nil || !strings.Contains(err.Error(), "API server at https://127.0.0.1:1 answers from this node") ||
		strings.Contains(err.Error(), "Post ") {
		t.Errorf("Token = %v", err)
	}
}

// kubeconfig returns the path of a kubeconfig for a server.
func kubeconfig(t *testing.T, url, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
		"clusters": [{"name": "k", "cluster": {"server": %q, "insecure-skip-tls-verify": true}}],
		"users": [{"name": "u", "user": {"token": %s}}]}`, url, token)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAccepted(t *testing.T) {
	const version = `{"major": "1", "minor": "34", "gitVersion": "v1.34.0"}`
	for _, tt := range []struct {
		name    string
		code    int
		body    string
		refused bool
		ok      bool
	}{
		{"accepted", 200, version, false, true},
		{"accepted without a permission", 403, refusal(403, "Forbidden", "no"), false, true},
		{"refused", 401, refusal(401, "Unauthorized", "Unauthorized"), true, false},
		{"refused in plain text", 401, "Unauthorized\n", true, false},
		{"login page", 401, "<html>", false, false},
		{"forbidden by another server", 403, "<html>", false, false},
		{"another server", 200, "<html>", false, false},
		{"another API", 200, "{}", false, false},
		{"error of the server", 500, refusal(500, "InternalError", "etcd is down"), false, false},
	} {
		s := &server{answer: func(bool) (int, string) { return tt.code, tt.body }}
		i := s.start(t)
		url := "https://" + net.JoinHostPort(i.Config.ServiceHost, i.Config.ServicePort)
		err := i.Accepted(t.Context(), kubeconfig(t, url, `"T"`))
		if (err == nil) != tt.ok || errors.Is(err, credentials.ErrRefused) != tt.refused {
			t.Errorf("%s: Accepted = %v", tt.name, err)
		}
		if len(s.requests) != 1 || s.requests[0] != "GET /version 0 <nil> Bearer T" {
			t.Errorf("%s: requests %q", tt.name, s.requests)
		}
	}
}

func TestKubeconfigErrorsContainNoSecret(t *testing.T) {
	path := kubeconfig(t, "https://127.0.0.1:1", `["`+secret+`"]`)
	i := Issuer{Config: config.Config{Kubeconfig: path, Namespace: "n"}}
	for name, err := range map[string]error{
		"own":     func() error { _, _, err := i.Token(t.Context(), "n"); return err }(),
		"plugins": i.Accepted(t.Context(), path),
	} {
		if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
