// SPDX-License-Identifier: Apache-2.0

package kubeclient_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"calico-cni/test/apiserver"
)

var record = flag.Bool("record", false, "write the answers of the API server to testdata/answers")

// recorded is a response of the API server, as a file in testdata/answers contains it.
type recorded struct {
	Status     int
	Type       string
	RetryAfter string `json:",omitempty"`
	Body       string
}

// asked is a request to the API server whose response is recorded.
type asked struct {
	name, method, path string
	// content, accept and body are those of the request. user is the administrator, "anyone" (without rights), or
	// "invalid" (with an invalid token).
	content, accept, body, user string
}

const (
	group   = "/apis/crd.projectcalico.org/v1"
	objects = group + "/ipreservations"
	meta    = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	merge   = "application/merge-patch+json"
	pods    = "/api/v1/namespaces/answers/pods"
)

// object returns an IPReservation as JSON.
func object(metadata, cidr string) string {
	return fmt.Sprintf(
		`{"apiVersion":"crd.projectcalico.org/v1","kind":"IPReservation","metadata":{%s},"spec":{"reservedCIDRs":[%q]}}`,
		metadata,
		cidr,
	)
}

// questions are the requests to the real API server, in this order.
func questions(uid, version string) []asked {
	const configMap = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`
	stored := `"name":"answers","uid":"` + uid + `","resourceVersion":"` + version + `"`
	stale := `"name":"answers","resourceVersion":"1"`
	conditions := func(c string) string {
		return `{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{` + c + `}}`
	}
	return []asked{
		{name: "get", path: objects + "/answers"},
		{name: "get-cached", path: objects + "/answers?resourceVersion=0"},
		{name: "list", path: objects + "?labelSelector=a%3Db"},
		{name: "get-metadata", path: pods + "/web", accept: meta},
		{name: "update", method: "PUT", path: objects + "/answers", body: object(stored, "10.1.0.0/24"), accept: meta},
		{
			name: "patch", method: "PATCH", path: pods + "/web/status", content: merge, accept: meta,
			body: `{"metadata":{"annotations":{"a":"b"}}}`,
		},

		{name: "get-missing", path: objects + "/missing"},
		{name: "get-missing-metadata", path: pods + "/missing", accept: meta},
		{name: "get-missing-namespace", path: "/api/v1/namespaces/missing", accept: meta},
		{name: "get-missing-node", path: "/api/v1/nodes/missing", accept: meta},
		{name: "get-in-missing-namespace", path: "/api/v1/namespaces/missing/pods/web", accept: meta},
		{
			name: "update-missing", method: "PUT", path: objects + "/missing",
			body: object(`"name":"missing","resourceVersion":"1"`, "10.0.0.0/24"),
		},
		{name: "delete-missing", method: "DELETE", path: objects + "/missing"},
		{name: "patch-missing", method: "PATCH", path: pods + "/missing/status", content: merge, body: `{}`},
		{
			name: "create-in-missing-namespace", method: "POST", path: "/api/v1/namespaces/missing/configmaps",
			body: configMap,
		},

		{name: "list-unknown-resource", path: group + "/things"},
		{name: "get-unknown-resource", path: group + "/things/answers"},
		{
			name: "create-unknown-resource", method: "POST", path: group + "/things",
			body: object(`"name":"a"`, "10.0.0.0/24"),
		},
		{name: "get-unknown-group", path: "/apis/things.test/v1/things/answers"},
		{name: "get-unknown-version", path: "/apis/crd.projectcalico.org/v9/ipreservations/answers"},
		{name: "get-unknown-core-resource", path: "/api/v1/namespaces/answers/things/web"},
		{name: "patch-unknown-subresource", method: "PATCH", path: pods + "/web/nothing", content: merge, body: `{}`},
		{name: "unknown-path", path: "/nothing"},

		{name: "create-existing", method: "POST", path: objects, body: object(`"name":"answers"`, "10.0.0.0/24")},
		{name: "update-stale", method: "PUT", path: objects + "/answers", body: object(stale, "10.2.0.0/24")},
		{
			name: "update-other-uid", method: "PUT", path: objects + "/answers",
			body: object(`"name":"answers","uid":"00000000-0000-0000-0000-000000000000"`, "10.0.0.0/24"),
		},
		{
			name: "delete-other-uid", method: "DELETE", path: objects + "/answers",
			body: conditions(`"uid":"00000000-0000-0000-0000-000000000000"`),
		},
		{name: "delete-stale", method: "DELETE", path: objects + "/answers", body: conditions(`"resourceVersion":"1"`)},
		{
			name: "patch-other-uid", method: "PATCH", path: pods + "/web/status", content: merge,
			body: `{"metadata":{"uid":"00000000-0000-0000-0000-000000000000"}}`,
		},
		{
			name: "patch-stale", method: "PATCH", path: pods + "/web/status", content: merge,
			body: `{"metadata":{"resourceVersion":"1","annotations":{"a":"c"}}}`,
		},

		{name: "create-against-schema", method: "POST", path: objects, body: object(`"name":"bad"`, "no CIDR")},
		{name: "create-bad-name", method: "POST", path: objects, body: object(`"name":"Bad_Name"`, "10.0.0.0/24")},
		{
			name: "update-other-name", method: "PUT", path: objects + "/answers",
			body: object(`"name":"other","resourceVersion":"1"`, "10.0.0.0/24"),
		},
		{name: "create-no-json", method: "POST", path: objects, body: `{`},
		{
			name: "create-too-large", method: "POST", path: objects,
			body: object(`"name":"large","annotations":{"a":"`+strings.Repeat("x", 4<<20)+`"}`, "10.0.0.0/24"),
		},
		{name: "list-bad-selector", path: objects + "?labelSelector=%21%21"},
		{
			name: "patch-test-fails", method: "PATCH", path: pods + "/web/status",
			content: "application/json-patch+json",
			body:    `[{"op":"test","path":"/metadata/annotations/a","value":"x"}]`,
		},

		{name: "unauthorized", path: objects + "/answers", user: "invalid"},
		{name: "forbidden-get", path: objects + "/answers", user: "anyone"},
		{name: "forbidden-list", path: objects, user: "anyone"},
		{
			name: "forbidden-patch", method: "PATCH", path: pods + "/web/status", content: merge, body: `{}`,
			user: "anyone",
		},

		{name: "create", method: "POST", path: objects, body: object(`"name":"answers-new"`, "10.0.0.0/24")},
		{
			name: "method-not-allowed", method: "POST", path: pods + "/web",
			body: `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"}}`,
		},
		{name: "not-acceptable", path: objects + "/answers", accept: "text/html"},
		{
			name: "unsupported-media-type", method: "PATCH", path: objects + "/answers", content: "text/plain",
			body: `{}`,
		},
		{name: "list-bad-continue", path: objects + "?limit=1&continue=bm9uc2Vuc2U"},
		{name: "version-of-the-future", path: objects + "?resourceVersion=999999999&resourceVersionMatch=NotOlderThan"},

		{name: "delete", method: "DELETE", path: objects + "/answers", body: conditions(`"uid":"` + uid + `"`)},
	}
}

// TestRecordedResponsesMatchAPIServer repeats the requests and compares everything that does not vary.
func TestRecordedResponsesMatchAPIServer(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	do(t, s.Admin().CreateNamespace(ctx, "answers"))
	do(t, s.Admin().CreateServiceAccount(ctx, "answers", "anyone"))
	_, err := s.Admin().CreatePod(ctx, "n", "answers", "web")
	do(t, err)
	stored := create(t, admin(t, s), "answers", "10.0.0.0/24")
	clients := map[string]*http.Client{"": clientOf(t, s.Config())}
	anyone, err := s.Accounts().ConfigFor(ctx, "answers", "anyone")
	do(t, err)
	invalid := rest.AnonymousClientConfig(s.Config())
	invalid.BearerToken = "no-token"
	clients["anyone"], clients["invalid"] = clientOf(t, anyone), clientOf(t, invalid)
	for _, q := range questions(stored.Metadata.UID, stored.Metadata.ResourceVersion) {
		compareRecorded(t, q.name, q.ask(t, clients[q.user], s.URL()))
	}
	compareRecorded(t, "http-without-tls",
		asked{path: "/version"}.ask(t, http.DefaultClient, strings.Replace(s.URL(), "https", "http", 1)))
	compareRecorded(t, "create-while-definition-goes", whileDefinitionGoes(t, s, clients[""]))
	compareRecorded(t, "version", asked{path: "/version"}.ask(t, clients[""], s.URL()))
}

func clientOf(t *testing.T, config *rest.Config) *http.Client {
	t.Helper()
	client, err := rest.HTTPClientFor(config)
	do(t, err)
	return client
}

func (q asked) ask(t *testing.T, client *http.Client, server string) recorded {
	t.Helper()
	if q.method == "" {
		q.method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(t.Context(), q.method, server+q.path, strings.NewReader(q.body))
	do(t, err)
	r.Header.Set("Accept", "application/json")
	if q.accept != "" {
		r.Header.Set("Accept", q.accept)
	}
	r.Header.Set("Content-Type", "application/json")
	if q.content != "" {
		r.Header.Set("Content-Type", q.content)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", q.name, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	do(t, err)
	return recorded{
		answer.StatusCode, answer.Header.Get("Content-Type"), answer.Header.Get("Retry-After"),
		string(body),
	}
}

// whileDefinitionGoes creates an object of a kind whose CustomResourceDefinition is being deleted, but still has an
// object.
func whileDefinitionGoes(t *testing.T, s *apiserver.Server, client *http.Client) recorded {
	t.Helper()
	ctx := t.Context()
	const definition = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"going.answers.test"},
		"spec":{"group":"answers.test","scope":"Cluster","names":{"plural":"going","kind":"Going"},
		"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}}`
	var crd unstructured.Unstructured
	do(t, json.Unmarshal([]byte(definition), &crd.Object))
	definitions := s.Dynamic().Resource(schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1",
		Resource: "customresourcedefinitions",
	})
	_, err := definitions.Create(ctx, &crd, metav1.CreateOptions{})
	do(t, err)
	body := func(name string) string {
		return fmt.Sprintf(
			`{"apiVersion":"answers.test/v1","kind":"Going","metadata":{"name":%q,"finalizers":["answers.test/held"]}}`,
			name,
		)
	}
	q := asked{method: "POST", path: "/apis/answers.test/v1/going"}
	last := recorded{}
	until := func(status int, name func(int) string) {
		for i := range 2000 {
			q.body = body(name(i))
			if last = q.ask(t, client, s.URL()); last.Status == status {
				return
			}
		}
		t.Fatalf("the last answer is %+v, want %d", last, status)
	}
	until(http.StatusCreated, func(int) string { return "held" })
	do(t, definitions.Delete(ctx, "going.answers.test", metav1.DeleteOptions{}))
	until(http.StatusForbidden, func(i int) string { return fmt.Sprint("late-", i) })
	return last
}

// compareRecorded compares a response with the recorded one, or records it.
func compareRecorded(t *testing.T, name string, got recorded) {
	t.Helper()
	got.Body = steady(got.Body)
	file := filepath.Join("testdata", "answers", name+".json")
	if *record {
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		do(t, e.Encode(got))
		do(t, os.WriteFile(file, out.Bytes(), 0o644))
		return
	}
	want, err := readRecorded(file)
	do(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: the response of the API server has changed; record it again with -record (-recorded +now):\n%s",
			name, diff)
	}
}

func readRecorded(file string) (r recorded, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("%w: record it with -record", err)
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	return r, err
}

// steady replaces values that vary between runs, and removes managedFields, whose order varies.
func steady(body string) string {
	var object map[string]any
	if strings.Contains(body, `"managedFields"`) && json.Unmarshal([]byte(body), &object) == nil {
		unstructured.RemoveNestedField(object, "metadata", "managedFields")
		without, _ := json.Marshal(object)
		body = string(without)
	}
	for pattern, replacement := range map[string]string{
		`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`:     "00000000-0000-0000-0000-000000000000",
		`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`:                         "2026-01-01T00:00:00Z",
		`("resourceVersion": ?")\d+(")`:                                    "${1}1${2}",
		`(UID in precondition: )[^"]*`:                                     "${1}…",
		`(in record \()\d+\)`:                                              "${1}1)",
		`late-\d+`:                                                         "late",
		`(current: |ResourceVersion in (?:precondition|object meta): )\d+`: "${1}1",
		`"(gitVersion|gitCommit|buildDate|goVersion|compiler|platform|emulation\w+|minCompat\w+|major|minor|gitTreeState)": ?"[^"]*"`: `"$1": "x"`,
	} {
		body = regexp.MustCompile(pattern).ReplaceAllString(body, replacement)
	}
	return body
}
