// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"calico-cni/pkg/kubeapi"
)

// TestRetries counts the requests that reach the server.
func TestRetries(t *testing.T) {
	for name, c := range map[string]struct {
		code           int
		after          string
		bad            int // number of failing responses
		reads, writes  int // expected requests
		read, wrote    error
		withoutAStatus bool
	}{
		"too many requests": {code: 429, after: "0", bad: 2, reads: 3, writes: 3},
		"too many, permanently": {
			code: 429, after: "0", bad: 1000, reads: 11, writes: 11, read: kubeapi.ErrUnavailable,
			wrote: kubeapi.ErrUnavailable,
		},
		"too many, no time given": {
			code: 429, bad: 1, reads: 1, writes: 1, read: kubeapi.ErrUnavailable,
			wrote: kubeapi.ErrUnavailable,
		},
		"server error": {code: 500, after: "0", bad: 2, reads: 3, writes: 1, wrote: kubeapi.ErrUnavailable},
		"unavailable":  {code: 503, after: "0", bad: 2, reads: 3, writes: 1, wrote: kubeapi.ErrUnavailable},
		"timeout":      {code: 504, after: "0", bad: 1, reads: 2, writes: 1, wrote: kubeapi.ErrUnavailable},
		"no time given": {
			code: 503, bad: 1, reads: 1, writes: 1, read: kubeapi.ErrUnavailable,
			wrote: kubeapi.ErrUnavailable,
		},
		"a date": {
			code: 503, after: "Wed, 21 Oct 2026 07:28:00 GMT", bad: 1, reads: 1, writes: 1,
			read: kubeapi.ErrUnavailable, wrote: kubeapi.ErrUnavailable,
		},
		"conflict": {
			code: 409, after: "0", bad: 1, reads: 1, writes: 1, read: kubeapi.ErrConflict,
			wrote: kubeapi.ErrConflict,
		},
	} {
		made := 0
		var bodies []string
		s := listen(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			bodies = append(bodies, string(body))
			if made++; made <= c.bad {
				if c.after != "" {
					w.Header().Set("Retry-After", c.after)
				}
				fail(w, c.code, "", "")
			}
		})
		client, ctx := loaded(t, trusting(s), ""), t.Context()
		things := kubeapi.NewObjects[contents](client, "g/v1", "things")
		whole := `{"apiVersion":"","kind":"","metadata":{"name":""},"spec":{"a":0}}`
		for verb, r := range map[string]struct {
			make func() error
			body string
		}{
			"get":    {func() error { _, err := things.Get(ctx, "a"); return err }, ""},
			"create": {func() error { _, err := things.Create(ctx, "a", &kubeapi.Object[contents]{}); return err }, whole},
			"update": {func() error { _, err := things.Update(ctx, "a", &kubeapi.Object[contents]{}); return err }, whole},
			"delete": {
				func() error { return things.Delete(ctx, "a", "u", "7") },
				`{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"u","resourceVersion":"7"}}`,
			},
			"patch": {
				func() error { return kubeapi.AnnotatePod(ctx, client, "a", kubeapi.Meta{Name: "b"}, nil) },
				`{"metadata":{"annotations":null}}`,
			},
		} {
			made, bodies = 0, nil
			want, requests := c.wrote, c.writes
			if verb == "get" {
				want, requests = c.read, c.reads
			}
			err := r.make()
			if !errors.Is(err, want) || made != requests ||
				strings.Join(bodies, "") != strings.Repeat(r.body, requests) {
				t.Errorf("%s, %s: %v after %d requests with %q; want %v after %d, each with its body", name, verb, err,
					made, bodies, want, requests)
			}
		}
	}
}

func TestOnlyReadsAreRetriedAfterLostConnection(t *testing.T) {
	for method, want := range map[string]int32{
		http.MethodGet: 2, http.MethodPost: 1, http.MethodPut: 1, http.MethodPatch: 1, http.MethodDelete: 1,
	} {
		var made atomic.Int32
		s := httptest.NewServer(api(func(w http.ResponseWriter, _ *http.Request) {
			if made.Add(1) != 2 {
				return
			}
			connection, _, err := w.(*answer).ResponseWriter.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
			}
			w.(*answer).begun = true
			_ = connection.Close()
		}))
		c := loaded(t, "server: '"+s.URL+"'", "")
		ask := func() error {
			_, err := c.Do(t.Context(), kubeapi.Request{Action: "ask", Method: method, Path: "/", Body: []byte("x")})
			return err
		}
		// The second request uses a connection that worked before, on which net/http retries more readily.
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		if err := ask(); errors.Is(err, kubeapi.ErrUnavailable) != (want == 1) || made.Load() != want+1 {
			t.Errorf("%s: %v after %d requests, want %d", method, err, made.Load()-1, want)
		}
		s.Close()
	}
}
