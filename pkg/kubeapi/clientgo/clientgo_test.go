// SPDX-License-Identifier: Apache-2.0

package clientgo_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"

	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/kubeapi/clientgo"
)

// test/kubeclient compares the classes and repetitions with those of pkg/kube.

func at(t *testing.T, config rest.Config, handler http.HandlerFunc) *clientgo.Transport {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	config.Host, config.QPS = s.URL, -1
	transport, err := clientgo.New(&config)
	if err != nil {
		t.Fatal(err)
	}
	return transport
}

func ask(ctx context.Context, t *clientgo.Transport, method string) error {
	_, err := t.Do(ctx, kubeapi.Request{
		Action: "ask for a", Method: method, Path: "/apis/g/v1/things/a", Body: []byte("x"),
	})
	return err
}

func TestIncompleteResponseIsUnavailable(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		var made atomic.Int32
		c := at(t, rest.Config{}, func(w http.ResponseWriter, _ *http.Request) {
			made.Add(1)
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"apiVersion":"v1",`))
		})
		err := ask(t.Context(), c, method)
		if !errors.Is(err, kubeapi.ErrUnavailable) || !strings.HasPrefix(err.Error(), "ask for a: ") {
			t.Errorf("%s: %v, want ErrUnavailable with the name of the request", method, err)
		}
		if made.Load() != 1 {
			t.Errorf("%s: %d requests, want 1", method, made.Load())
		}
	}
}

func TestEndedContextIsUnavailable(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := at(t, rest.Config{}, func(_ http.ResponseWriter, r *http.Request) {
		// The server notices the end of a connection only after it has read the body.
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})
	if err := ask(ctx, c, http.MethodGet); !errors.Is(err, kubeapi.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want ErrUnavailable and the cause", err)
	}
}

// TestRedirectIsNotFollowed counts the requests that reach another server.
func TestRedirectIsNotFollowed(t *testing.T) {
	var reached atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(other.Close)
	c := at(t, rest.Config{BearerToken: "secret"}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			t.Error("the API server gets no token")
		}
		http.Redirect(w, r, other.URL, http.StatusFound)
	})
	if err := ask(t.Context(), c, http.MethodGet); !errors.Is(err, kubeapi.ErrNotServed) || reached.Load() != 0 {
		t.Errorf("%v, %d requests reach the other server; want ErrNotServed and none", err, reached.Load())
	}
}

func TestPathOfServerPrecedesPathOfRequest(t *testing.T) {
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.Path + "?" + r.URL.RawQuery
		_, _ = w.Write([]byte(`{"apiVersion":"v1"}`))
	}))
	t.Cleanup(s.Close)
	c, err := clientgo.New(&rest.Config{Host: s.URL + "/k8s/c1/"})
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(t.Context(), c, http.MethodGet); err != nil || got != "/k8s/c1/apis/g/v1/things/a?timeout=15s" {
		t.Errorf("the server sees %s, %v", got, err)
	}
}
