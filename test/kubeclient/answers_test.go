// SPDX-License-Identifier: Apache-2.0

package kubeclient_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/kubeapi/clientgo"
	"calico-cni/test/apiserver"
)

// question is one request, made by pkg/kube and by client-go. The object name is a parameter.
type question struct {
	ours   func(ctx context.Context, c kubeapi.Transport, name string) error
	theirs func(ctx context.Context, c *rest.Config, name string) error
}

func dynamicOf(c *rest.Config, group, version, resource string) dynamic.NamespaceableResourceInterface {
	return dynamic.NewForConfigOrDie(c).Resource(schema.GroupVersionResource{
		Group: group, Version: version,
		Resource: resource,
	})
}

func reservationsOf(c *rest.Config) dynamic.ResourceInterface {
	return dynamic.NewForConfigOrDie(c).Resource(apiserver.CalicoResource(spec.IPReservations))
}

func unstructuredOf(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": spec.GroupVersion, "kind": "IPReservation",
		"metadata": map[string]any{"name": name, "resourceVersion": "1"},
	}}
}

var verbs = map[string]question{
	"get": {
		func(ctx context.Context, c kubeapi.Transport, name string) error {
			_, err := reservations(c).Get(ctx, name)
			return err
		},
		func(ctx context.Context, c *rest.Config, name string) error {
			_, err := reservationsOf(c).Get(ctx, name, metav1.GetOptions{})
			return err
		},
	},
	"list": {
		func(ctx context.Context, c kubeapi.Transport, _ string) error {
			_, err := reservations(c).List(ctx, kubeapi.ListOptions{})
			return err
		},
		func(ctx context.Context, c *rest.Config, _ string) error {
			_, err := reservationsOf(c).List(ctx, metav1.ListOptions{})
			return err
		},
	},
	"create": {
		func(ctx context.Context, c kubeapi.Transport, name string) error {
			_, err := reservations(c).Create(ctx, name, reservation(name))
			return err
		},
		func(ctx context.Context, c *rest.Config, name string) error {
			_, err := reservationsOf(c).Create(ctx, unstructuredOf(name), metav1.CreateOptions{})
			return err
		},
	},
	"update": {
		func(ctx context.Context, c kubeapi.Transport, name string) error {
			_, err := reservations(c).Update(ctx, name, reservation(name))
			return err
		},
		func(ctx context.Context, c *rest.Config, name string) error {
			_, err := reservationsOf(c).Update(ctx, unstructuredOf(name), metav1.UpdateOptions{})
			return err
		},
	},
	"delete": {
		func(ctx context.Context, c kubeapi.Transport, name string) error {
			return reservations(c).Delete(ctx, name, "u", "1")
		},
		func(ctx context.Context, c *rest.Config, name string) error {
			return reservationsOf(c).Delete(ctx, name, *metav1.NewPreconditionDeleteOptions("u"))
		},
	},
	"get pod": {
		func(ctx context.Context, c kubeapi.Transport, name string) error {
			_, err := kubeapi.Pod(ctx, c, "answers", name)
			return err
		},
		func(ctx context.Context, c *rest.Config, name string) error {
			_, err := dynamicOf(c, "", "v1", "pods").Namespace("answers").Get(ctx, name, metav1.GetOptions{})
			return err
		},
	},
	"patch pod": {
		func(ctx context.Context, c kubeapi.Transport, name string) error {
			return kubeapi.AnnotatePod(ctx, c, "answers", kubeapi.Meta{Name: name}, nil)
		},
		func(ctx context.Context, c *rest.Config, name string) error {
			_, err := dynamicOf(c, "", "v1", "pods").Namespace("answers").
				Patch(ctx, name, types.MergePatchType, []byte("{}"), metav1.PatchOptions{}, "status")
			return err
		},
	},
	"get namespace": {
		func(ctx context.Context, c kubeapi.Transport, name string) error {
			_, err := kubeapi.Namespace(ctx, c, name)
			return err
		},
		func(ctx context.Context, c *rest.Config, name string) error {
			_, err := dynamicOf(c, "", "v1", "namespaces").Get(ctx, name, metav1.GetOptions{})
			return err
		},
	},
	"get node": {
		func(ctx context.Context, c kubeapi.Transport, name string) error {
			_, err := kubeapi.Node(ctx, c, name)
			return err
		},
		func(ctx context.Context, c *rest.Config, name string) error {
			_, err := dynamicOf(c, "", "v1", "nodes").Get(ctx, name, metav1.GetOptions{})
			return err
		},
	},
	"version": {
		func(ctx context.Context, c kubeapi.Transport, _ string) error { return c.(*kube.Client).Ping(ctx) },
		func(_ context.Context, c *rest.Config, _ string) error {
			_, err := kubernetes.NewForConfigOrDie(c).ServerVersion()
			return err
		},
	},
}

// answered is a server's response to a request and its classification by both clients. theirs is empty if both agree.
type answered struct {
	file, verb, name string
	made             recorded // if there is no file
	ours, theirs     string
}

func page(status int) recorded { return recorded{status, "text/html", "", "<html>a page</html>"} }

func plain(status int, body string) recorded {
	return recorded{status, "text/plain; charset=utf-8", "", body}
}

func status(code int, reason string) recorded {
	return recorded{code, "application/json", "", fmt.Sprintf(
		`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"m","reason":%q,"code":%d}`, reason, code)}
}

// corpus are recorded responses of the API server and of other servers in its place.
var corpus = []answered{
	{file: "get", verb: "get", name: "answers", ours: "success"},
	{file: "get-cached", verb: "get", name: "answers", ours: "success"},
	{file: "list", verb: "list", ours: "success"},
	{file: "get-metadata", verb: "get pod", name: "web", ours: "success"},
	{file: "update", verb: "update", name: "answers", ours: "success"},
	{file: "create", verb: "create", name: "answers-new", ours: "success"},
	{file: "patch", verb: "patch pod", name: "web", ours: "success"},
	{file: "delete", verb: "delete", name: "answers", ours: "success"},
	{file: "version", verb: "version", ours: "success"},

	{file: "get-missing", verb: "get", name: "missing", ours: "not found"},
	{file: "get-missing-metadata", verb: "get pod", name: "missing", ours: "not found"},
	{file: "get-missing-namespace", verb: "get namespace", name: "missing", ours: "not found"},
	{file: "get-missing-node", verb: "get node", name: "missing", ours: "not found"},
	{file: "get-in-missing-namespace", verb: "get pod", name: "web", ours: "not found"},
	{file: "update-missing", verb: "update", name: "missing", ours: "not found"},
	{file: "delete-missing", verb: "delete", name: "missing", ours: "not found"},
	{file: "patch-missing", verb: "patch pod", name: "missing", ours: "not found"},
	{file: "create-in-missing-namespace", verb: "create", name: "a", ours: "not served", theirs: "not found"},
	{file: "list-unknown-resource", verb: "list", ours: "not served", theirs: "not found"},
	{file: "get-unknown-resource", verb: "get", name: "answers", ours: "not served", theirs: "not found"},
	{file: "create-unknown-resource", verb: "create", name: "a", ours: "not served", theirs: "not found"},
	{file: "get-unknown-group", verb: "get", name: "answers", ours: "not served", theirs: "not found"},
	{file: "get-unknown-version", verb: "get", name: "answers", ours: "not served", theirs: "not found"},
	{file: "get-unknown-core-resource", verb: "get pod", name: "web", ours: "not served", theirs: "not found"},
	{file: "patch-unknown-subresource", verb: "patch pod", name: "web", ours: "not served", theirs: "not found"},
	{file: "unknown-path", verb: "version", ours: "not served", theirs: "not found"},
	{file: "create-while-definition-goes", verb: "create", name: "late", ours: "not served", theirs: "forbidden"},

	{file: "create-existing", verb: "create", name: "answers", ours: "exists"},
	{file: "update-stale", verb: "update", name: "answers", ours: "conflict"},
	{file: "update-other-uid", verb: "update", name: "answers", ours: "conflict"},
	{file: "delete-other-uid", verb: "delete", name: "answers", ours: "conflict"},
	{file: "delete-stale", verb: "delete", name: "answers", ours: "conflict"},
	{file: "patch-stale", verb: "patch pod", name: "web", ours: "conflict"},
	{file: "patch-other-uid", verb: "patch pod", name: "web", ours: "conflict", theirs: "invalid"},

	{file: "create-against-schema", verb: "create", name: "bad", ours: "invalid"},
	{file: "create-bad-name", verb: "create", name: "Bad_Name", ours: "invalid"},
	{file: "update-other-name", verb: "update", name: "answers", ours: "invalid"},
	{file: "create-no-json", verb: "create", name: "a", ours: "invalid"},
	{file: "create-too-large", verb: "create", name: "large", ours: "invalid"},
	{file: "list-bad-selector", verb: "list", ours: "invalid"},
	{file: "list-bad-continue", verb: "list", ours: "invalid"},
	{file: "patch-test-fails", verb: "patch pod", name: "web", ours: "invalid"},

	{file: "unauthorized", verb: "get", name: "answers", ours: "unauthorized"},
	{file: "forbidden-get", verb: "get", name: "answers", ours: "forbidden"},
	{file: "forbidden-list", verb: "list", ours: "forbidden"},
	{file: "forbidden-patch", verb: "patch pod", name: "web", ours: "forbidden"},
	{file: "method-not-allowed", verb: "create", name: "web", ours: "refused"},
	{file: "not-acceptable", verb: "get", name: "answers", ours: "refused"},
	{file: "unsupported-media-type", verb: "patch pod", name: "web", ours: "refused"},
	{file: "version-of-the-future", verb: "list", ours: "unavailable"},
	{file: "http-without-tls", verb: "get", name: "answers", ours: "not served", theirs: "invalid"},

	{verb: "list", made: status(410, "Expired"), ours: "refused"},
	{verb: "get", made: status(429, "TooManyRequests"), ours: "unavailable"},
	{verb: "update", made: plain(429, "Too many requests, please try again later.\n"), ours: "unavailable"},
	{verb: "get", made: status(500, "InternalError"), ours: "unavailable"},
	{verb: "update", made: status(500, "ServerTimeout"), ours: "unavailable"},
	{verb: "delete", made: status(503, "ServiceUnavailable"), ours: "unavailable"},
	{verb: "create", made: status(504, "Timeout"), ours: "unavailable"},
	{verb: "get", made: page(502), ours: "unavailable"},
	{verb: "delete", made: page(503), ours: "unavailable"},
	{verb: "get", made: plain(401, "Unauthorized\n"), ours: "unauthorized"},
	{verb: "get", made: recorded{401, "application/json", "", `{"type":"error"}`}, ours: "unauthorized"},

	{verb: "get", made: page(401), ours: "not served", theirs: "unauthorized"},
	{
		verb: "get",
		made: recorded{
			403,
			"application/json",
			"",
			`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"x is forbidden: User \"system:anonymous\" cannot get resource"}`,
		},
		ours:   "unauthorized",
		theirs: "forbidden",
	},
	{verb: "get", made: page(403), ours: "not served", theirs: "forbidden"},
	{verb: "get", made: page(404), ours: "not served", theirs: "not found"},
	{verb: "delete", made: page(404), ours: "not served", theirs: "not found"},
	{verb: "get pod", name: "web", made: plain(404, "default backend - 404"), ours: "not served", theirs: "not found"},
	{verb: "create", made: page(409), ours: "not served", theirs: "exists"},
	{verb: "update", made: page(409), ours: "not served", theirs: "conflict"},
	{verb: "update", made: page(405), ours: "not served", theirs: "refused"},
	{verb: "get", made: page(200), ours: "not served", theirs: "not decoded"},
	{verb: "get", made: page(302), ours: "not served", theirs: "unknown"},
	{verb: "get", made: page(511), ours: "not served", theirs: "unavailable"},
	{
		verb: "get", made: recorded{200, "application/json", "", `{"login":"required"}`}, ours: "not served",
		theirs: "not decoded",
	},
	{verb: "delete", made: page(200), ours: "not served", theirs: "success"},
	{verb: "patch pod", name: "web", made: page(200), ours: "not served", theirs: "not decoded"},
	{
		verb: "get", made: recorded{200, "application/json", "", `{"apiVersion":"v1","kind":`}, ours: "malformed",
		theirs: "not decoded",
	},
}

// TestResponsesAreClassifiedAsByClientGo passes each response to the client of the plugins, to that of daemons, and to
// client-go. The classes of the first two are equal.
func TestResponsesAreClassifiedAsByClientGo(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "answers", "*.json"))
	do(t, err)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if !slices.ContainsFunc(corpus, func(a answered) bool { return a.file == name }) {
			t.Errorf("%s is in no row", file)
		}
	}
	for _, c := range corpus {
		answer, what := c.made, fmt.Sprintf("%s: %d %s", c.verb, c.made.Status, c.made.Type)
		if c.file != "" {
			what = c.file
			var err error
			answer, err = readRecorded(filepath.Join("testdata", "answers", c.file+".json"))
			do(t, err)
		}
		answer.RetryAfter = ""
		if c.name == "" {
			c.name = "a"
		}
		server, _ := replay(t, answer)
		if got := class(verbs[c.verb].ours(t.Context(), clientAt(t, server), c.name)); got != c.ours {
			t.Errorf("%s: pkg/kube: %s, want %s", what, got, c.ours)
		}
		if c.verb != "version" {
			if got := class(verbs[c.verb].ours(t.Context(), daemonAt(t, server), c.name)); got != c.ours {
				t.Errorf("%s: pkg/kubeapi/clientgo: %s, want %s", what, got, c.ours)
			}
		}
		want := c.theirs
		if want == "" {
			want = c.ours
		}
		if got := classOfClientGo(verbs[c.verb].theirs(t.Context(), &rest.Config{Host: server}, c.name)); got != want {
			t.Errorf("%s: client-go: %s, want %s", what, got, want)
		}
	}
	if len(corpus) < 40 {
		t.Errorf("%d answers, want at least 40", len(corpus))
	}
}

// TestRetriesMatchClientGo counts the requests to a server that always responds in the same way.
func TestRetriesMatchClientGo(t *testing.T) {
	again := func(r recorded) recorded { r.RetryAfter = "0"; return r }
	const all = 11
	for _, c := range []struct {
		answer                  recorded
		reads, writes           int32
		theirReads, theirWrites int32
	}{
		{again(status(429, "TooManyRequests")), all, all, all, all},
		{status(429, "TooManyRequests"), 1, 1, 1, 1},
		// After a 5xx response a write may have been executed.
		{again(status(500, "InternalError")), all, 1, all, all},
		{again(status(503, "ServiceUnavailable")), all, 1, all, all},
		{again(page(503)), all, 1, all, all},
		{status(503, "ServiceUnavailable"), 1, 1, 1, 1},
		{again(status(409, "Conflict")), 1, 1, 1, 1},
		{again(page(404)), 1, 1, 1, 1},
	} {
		for verb, ask := range verbs {
			if verb == "version" {
				continue // client-go makes this request differently
			}
			ours, theirs := c.reads, c.theirReads
			if !strings.HasPrefix(verb, "get") && verb != "list" {
				ours, theirs = c.writes, c.theirWrites
			}
			server, made := replay(t, c.answer)
			_ = ask.ours(t.Context(), clientAt(t, server), "a")
			if got := made.Swap(0); got != ours {
				t.Errorf("%s, %d with Retry-After %q: pkg/kube makes %d requests, want %d", verb, c.answer.Status,
					c.answer.RetryAfter, got, ours)
			}
			_ = ask.ours(t.Context(), daemonAt(t, server), "a")
			if got := made.Swap(0); got != ours {
				t.Errorf("%s, %d with Retry-After %q: pkg/kubeapi/clientgo makes %d requests, want %d", verb,
					c.answer.Status, c.answer.RetryAfter, got, ours)
			}
			_ = ask.theirs(t.Context(), &rest.Config{Host: server, QPS: -1}, "a")
			if got := made.Load(); got != theirs {
				t.Errorf("%s, %d with Retry-After %q: client-go makes %d requests, want %d", verb, c.answer.Status,
					c.answer.RetryAfter, got, theirs)
			}
		}
	}
}

// TestDifferencesFromClientGoAreDocumented checks that docs/compatibility.md has each pair of classes of the corpus.
func TestDifferencesFromClientGoAreDocumented(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "compatibility.md"))
	do(t, err)
	for _, c := range corpus {
		if row := fmt.Sprintf("| %s | %s |", c.theirs, c.ours); c.theirs != "" && !bytes.Contains(data, []byte(row)) {
			t.Errorf("docs/compatibility.md has no row %q", row)
		}
	}
}

// replay starts a server that answers every request in the same way, and counts the requests.
func replay(t *testing.T, answer recorded) (url string, made *atomic.Int32) {
	t.Helper()
	made = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		made.Add(1)
		w.Header().Set("Content-Type", answer.Type)
		if answer.RetryAfter != "" {
			w.Header().Set("Retry-After", answer.RetryAfter)
		}
		w.WriteHeader(answer.Status)
		_, _ = io.WriteString(w, answer.Body)
	}))
	t.Cleanup(s.Close)
	return s.URL, made
}

func clientAt(t *testing.T, server string) *kube.Client {
	t.Helper()
	client, err := kube.Direct{Server: server}.Client(userAgent)
	do(t, err)
	t.Cleanup(client.Close)
	return client
}

// daemonAt returns the transport of daemons, without a rate limit.
func daemonAt(t *testing.T, server string) kubeapi.Transport {
	t.Helper()
	transport, err := clientgo.New(&rest.Config{Host: server, QPS: -1})
	do(t, err)
	return transport
}

func class(err error) string {
	for _, c := range []struct {
		err  error
		name string
	}{
		{nil, "success"},
		{kubeapi.ErrNotFound, "not found"},
		{kubeapi.ErrExists, "exists"},
		{kubeapi.ErrConflict, "conflict"},
		{kubeapi.ErrUnauthorized, "unauthorized"},
		{kubeapi.ErrForbidden, "forbidden"},
		{kubeapi.ErrInvalid, "invalid"},
		{kubeapi.ErrRefused, "refused"},
		{kubeapi.ErrUnavailable, "unavailable"},
		{kubeapi.ErrNotServed, "not served"},
		{kubeapi.ErrMalformed, "malformed"},
	} {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	return err.Error()
}

func classOfClientGo(err error) string {
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return "success"
	case !errors.As(err, &status):
		return "not decoded"
	}
	for name, is := range map[string][]func(error) bool{
		"not found": {apierrors.IsNotFound}, "exists": {apierrors.IsAlreadyExists}, "conflict": {apierrors.IsConflict},
		"unauthorized": {apierrors.IsUnauthorized}, "forbidden": {apierrors.IsForbidden},
		"invalid": {apierrors.IsInvalid, apierrors.IsBadRequest, apierrors.IsRequestEntityTooLargeError},
		"refused": {
			apierrors.IsMethodNotSupported, apierrors.IsNotAcceptable, apierrors.IsUnsupportedMediaType,
			apierrors.IsGone, apierrors.IsResourceExpired,
		},
		"unavailable": {
			apierrors.IsInternalError, apierrors.IsServerTimeout, apierrors.IsServiceUnavailable, apierrors.IsTimeout,
			apierrors.IsTooManyRequests,
		},
	} {
		if slices.ContainsFunc(is, func(is func(error) bool) bool { return is(err) }) {
			return name
		}
	}
	return "unknown"
}
