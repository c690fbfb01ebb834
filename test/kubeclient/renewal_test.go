// SPDX-License-Identifier: Apache-2.0

package kubeclient_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/kube"
)

// differencesInTime are the rows about the time after a kubeconfig is loaded, with their tests.
var differencesInTime = map[string]string{
	rowRetry:        "TestClientsRenewCredentials",
	rowExpiration:   "TestClientsRenewCredentials",
	rowTokenCache:   "TestClientsRenewCredentials",
	rowRedirect:     "TestClientsFollowRedirects",
	rowPluginStderr: "TestCredentialPluginStandardError",
}

// session is a client that makes several requests.
type session func(ctx context.Context) error

func sessions(t *testing.T, path string) map[string]func() session {
	return map[string]func() session{
		"client-go": func() session {
			client, err := clientGo(path)
			do(t, err)
			return func(ctx context.Context) error { return client.Get().AbsPath("/version").Do(ctx).Error() }
		},
		"pkg/kube": func() session {
			client := load(t, path)
			t.Cleanup(client.Close)
			return client.Ping
		},
	}
}

func TestClientsRenewCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		user string
		// refuse is the token that the server rejects with 401.
		refuse string
		// between runs between the requests.
		between func(dir string) error
		// tokens are the tokens that the server receives from a client; failed are the numbers of the failing requests.
		tokens map[string][]string
		failed map[string][]int
	}{
		"a credential plugin": {
			user: execV1 + "./plugin, args: [v1, count]}",
			tokens: map[string][]string{
				"client-go": {"run-1", "run-1", "run-1"},
				"pkg/kube":  {"run-1", "run-1", "run-1"},
			},
		},
		rowRetry: {
			user: execV1 + "./plugin, args: [v1, count]}", refuse: "run-1",
			tokens: map[string][]string{
				"client-go": {"run-1", "run-2", "run-2"},
				"pkg/kube":  {"run-1", "run-2", "run-2", "run-2"},
			},
			failed: map[string][]int{"client-go": {0}},
		},
		// client-go also runs the plugin for the handshake.
		rowExpiration: {
			user: execV1 + "./plugin, args: [v1, expired]}",
			tokens: map[string][]string{
				"client-go": {"run-1", "run-3", "run-4"},
				"pkg/kube":  {"run-1", "run-1", "run-1"},
			},
		},
		rowTokenCache: {
			user: "tokenFile: token",
			between: func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "token"), []byte("renewed\n"), 0o600)
			},
			tokens: map[string][]string{
				"client-go": {"from-file", "from-file", "from-file"},
				"pkg/kube":  {"from-file", "renewed", "renewed"},
			},
		},
		"401 for the token of a file": {
			user: "tokenFile: token", refuse: "from-file",
			tokens: map[string][]string{
				"client-go": {"from-file", "from-file", "from-file"},
				"pkg/kube":  {"from-file", "from-file", "from-file"},
			},
			failed: map[string][]int{"client-go": {0, 1, 2}, "pkg/kube": {0, 1, 2}},
		},
		"a tokenFile that is emptied": {
			user:    "tokenFile: token",
			between: func(dir string) error { return os.WriteFile(filepath.Join(dir, "token"), nil, 0o600) },
			tokens: map[string][]string{
				"client-go": {"from-file", "from-file", "from-file"},
				"pkg/kube":  {"from-file", "from-file", "from-file"},
			},
		},
	} {
		for _, who := range []string{"client-go", "pkg/kube"} {
			t.Run(name+"/"+who, func(t *testing.T) {
				b := newBench(t)
				path := b.write(t, kc(verified, c.user))
				b.reset(t, filepath.Dir(path))
				var tokens []string
				b.answer = func(w http.ResponseWriter, r *http.Request) {
					token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
					tokens = append(tokens, token)
					w.Header().Set("Content-Type", "application/json")
					if token == c.refuse {
						w.WriteHeader(http.StatusUnauthorized)
						_, _ = io.WriteString(
							w,
							`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}`,
						)
						return
					}
					_, _ = io.WriteString(w, `{"gitVersion":"v1.36.0"}`)
				}
				ask := sessions(t, path)[who]()
				var failed []int
				for i := range 3 {
					if err := ask(t.Context()); err != nil {
						failed = append(failed, i)
					}
					if i == 0 && c.between != nil {
						do(t, c.between(filepath.Dir(path)))
					}
				}
				if diff := cmp.Diff(c.tokens[who], tokens); diff != "" {
					t.Errorf("tokens that the server receives (-want +got):\n%s", diff)
				}
				if !slices.Equal(failed, c.failed[who]) {
					t.Errorf("requests %v fail, want %v", failed, c.failed[who])
				}
			})
		}
	}
}

func TestClientsFollowRedirects(t *testing.T) {
	for who, want := range map[string]string{"client-go": "Bearer secret", "pkg/kube": "nothing"} {
		t.Run(who, func(t *testing.T) {
			other, b := newBench(t), newBench(t)
			received := "nothing"
			other.answer = func(w http.ResponseWriter, r *http.Request) { received = r.Header.Get("Authorization") }
			b.answer = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, other.https.URL+"/version", http.StatusTemporaryRedirect)
			}
			path := b.write(t, kc(verified, "token: secret"))
			if err := sessions(t, path)[who]()(t.Context()); (err == nil) != (who == "client-go") {
				t.Errorf("request: %v", err)
			}
			if received != want {
				t.Errorf("the other server receives %q, want %q", received, want)
			}
		})
	}
}

func TestCredentialPluginStandardError(t *testing.T) {
	for who, want := range map[string]bool{"client-go": true, "pkg/kube": false} {
		t.Run(who, func(t *testing.T) {
			b := newBench(t)
			path := b.write(t, kc(verified, execV1+"./plugin, args: [v1, written-by-the-plugin]}"))
			b.reset(t, filepath.Dir(path))
			written, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
			do(t, err)
			standard := os.Stderr
			os.Stderr = written
			err = sessions(t, path)[who]()(t.Context())
			os.Stderr = standard
			do(t, err)
			do(t, written.Close())
			text, err := os.ReadFile(written.Name())
			do(t, err)
			if got := strings.Contains(string(text), "written-by-the-plugin"); got != want {
				t.Errorf("standard error has the plugin's output: %t, want %t", got, want)
			}
		})
	}
}

// TestErrorsHaveInstallHint: the error about a missing credential plugin contains the hint, as in client-go.
func TestErrorsHaveInstallHint(t *testing.T) {
	b := newBench(t)
	path := b.write(t, kc(verified, execV1+"./nowhere, installHint: 'the hint'}"))
	client, err := kube.Load(path, userAgent)
	do(t, err)
	defer client.Close()
	if err := client.Ping(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "the kubeconfig says: the hint") {
		t.Errorf("Ping = %v, want an error with the hint", err)
	}
}
