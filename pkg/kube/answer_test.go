// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"calico-cni/pkg/kubeapi"
)

// Media types and bodies that servers answer with.
const (
	jsonType = "application/json"
	html     = "<html><body>Please log in: " + secret + "</body></html>"
	aboutN   = `"name":"n","kind":"nodes"`
)

// TestClassifyResponses uses the responses of servers to a request for the node n, with the class of each.
func TestClassifyResponses(t *testing.T) {
	type row struct {
		code        int
		kind, body  string
		want        error
		says, quiet string
	}
	object := func(metadata string) string { return `{"kind":"Node","apiVersion":"v1","metadata":` + metadata + `}` }
	rows := []row{
		// Success.
		{200, jsonType, object(`{"name":"n"}`), nil, "", ""},
		{200, "text/plain", object(`{"name":"n"}`), nil, "", ""},
		{201, jsonType, object(`{"name":"n"}`), nil, "", ""},
		{200, jsonType, object(`{"labels":1}`), kubeapi.ErrMalformed, "get node n", ""},
		{200, jsonType, `{"kind":"Node","apiVersion":"v1","meta`, kubeapi.ErrMalformed, "get node n", ""},
		// Not an object of the API.
		{200, "text/html", html, kubeapi.ErrNotServed, "200 OK with an HTML page", "<html>"},
		{200, "", html, kubeapi.ErrNotServed, "login page", "<html>"},
		{200, jsonType, `{"login":"required"}`, kubeapi.ErrNotServed, "without an object of the API", "required"},
		{200, jsonType, `{}`, kubeapi.ErrNotServed, "without an object of the API", ""},
		{200, jsonType, `null`, kubeapi.ErrNotServed, "without an object of the API", ""},
		{200, jsonType, `[{"apiVersion":"v1"}]`, kubeapi.ErrNotServed, "without an object of the API", ""},
		{200, jsonType, `{"apiVersion":""}`, kubeapi.ErrNotServed, "without an object of the API", ""},
		{200, jsonType, ``, kubeapi.ErrNotServed, "without an object of the API", ""},
		{204, "", ``, kubeapi.ErrNotServed, "204 No Content", ""},
		{302, "", "", kubeapi.ErrNotServed, "302 Found", ""},
		{304, "", "", kubeapi.ErrNotServed, "304 Not Modified", ""},
		// Absent, and responses that only look like it.
		{404, jsonType, statusBody("NotFound", aboutN), kubeapi.ErrNotFound, "the message", ""},
		{404, jsonType, statusBody("NotFound", `"name":"m","kind":"nodes"`), kubeapi.ErrNotServed, "the message", ""},
		{404, jsonType, statusBody("NotFound", `"name":"n","kind":"pods"`), kubeapi.ErrNotServed, "the message", ""},
		{
			404, jsonType, statusBody("NotFound", `"name":"n","kind":"nodes","group":"g"`), kubeapi.ErrNotServed, "the message",
			"",
		},
		{404, jsonType, statusBody("NotFound", ""), kubeapi.ErrNotServed, "the message", ""},
		{404, jsonType, statusBody("", aboutN), kubeapi.ErrNotServed, "the message", ""},
		{404, jsonType, `{"reason":"NotFound","details":{` + aboutN + `}}`, kubeapi.ErrNotServed, "404 Not Found", ""},
		{404, "text/plain", "404 page not found\n", kubeapi.ErrNotServed, `404 Not Found: "404 page not found"`, ""},
		{404, "text/html", html, kubeapi.ErrNotServed, "404 Not Found with an HTML page", "<html>"},
		{404, "", "", kubeapi.ErrNotServed, "404 Not Found", ""},
		// Conflicts.
		{409, jsonType, statusBody("AlreadyExists", aboutN), kubeapi.ErrExists, "the message", ""},
		{409, jsonType, statusBody("Conflict", aboutN), kubeapi.ErrConflict, "the message", ""},
		{
			422, jsonType, statusBody("Invalid", `"causes":[{"field":"metadata.uid"}]`), kubeapi.ErrConflict,
			"another object of that name", "",
		},
		{409, "", "", kubeapi.ErrNotServed, "409 Conflict", ""},
		// Rejected objects.
		{422, jsonType, statusBody("Invalid", `"causes":[{"field":"spec.cidr"}]`), kubeapi.ErrInvalid, "the message", ""},
		{400, jsonType, statusBody("BadRequest", ""), kubeapi.ErrInvalid, "the message", ""},
		{413, jsonType, statusBody("RequestEntityTooLarge", ""), kubeapi.ErrInvalid, "the message", ""},
		{400, "text/plain", "Bad Request", kubeapi.ErrNotServed, `400 Bad Request: "Bad Request"`, ""},
		{413, "text/html", html, kubeapi.ErrNotServed, "HTML", "<html>"},
		// Credentials.
		{401, jsonType, statusBody("Unauthorized", ""), kubeapi.ErrUnauthorized, "does not accept kubeconfig", ""},
		{
			401, jsonType, `{"type":"error","message":"must authenticate"}`, kubeapi.ErrUnauthorized,
			"does not accept kubeconfig",
			"",
		},
		{401, "text/plain", "Unauthorized\n", kubeapi.ErrUnauthorized, "does not accept kubeconfig", ""},
		{401, "text/html", html, kubeapi.ErrNotServed, "401 Unauthorized with an HTML page", "<html>"},
		{403, jsonType, statusBody("Forbidden", aboutN), kubeapi.ErrForbidden, "the message", "ClusterRole"},
		{
			403, jsonType, strings.Replace(statusBody("Forbidden", aboutN), "the message",
				`User \"system:anonymous\" cannot get`, 1),
			kubeapi.ErrUnauthorized, "does not accept kubeconfig", "ClusterRole",
		},
		{
			403, jsonType, strings.Replace(statusBody("Forbidden", aboutN), "the message",
				"create not allowed while custom resource definition is terminating", 1),
			kubeapi.ErrNotServed, "definition is terminating", "ClusterRole",
		},
		{403, "text/html", html, kubeapi.ErrNotServed, "403 Forbidden with an HTML page", "ClusterRole"},
		{511, "text/html", html, kubeapi.ErrNotServed, "HTML", "<html>"},
		// Overload and failure, reported by any server.
		{408, "", "", kubeapi.ErrUnavailable, "408", ""},
		{
			429, "text/plain", "Too many requests, please try again later.\n", kubeapi.ErrUnavailable,
			"please try again later.",
			"",
		},
		{429, jsonType, statusBody("TooManyRequests", ""), kubeapi.ErrUnavailable, "the message", ""},
		{500, jsonType, statusBody("InternalError", ""), kubeapi.ErrUnavailable, "the message", ""},
		{502, "text/html", html, kubeapi.ErrUnavailable, "502 Bad Gateway", "<html>"},
		{
			503, "text/plain", strings.Repeat("x", 10_000), kubeapi.ErrUnavailable, "503 Service Unavailable",
			strings.Repeat("x", 201),
		},
		{504, jsonType, statusBody("Timeout", ""), kubeapi.ErrUnavailable, "the message", ""},
		{599, "", "", kubeapi.ErrUnavailable, "599", ""},
	}
	// Permanent rejections: ErrRefused from the API server, ErrNotServed from another server.
	for code, reason := range map[int]string{
		402: "", 405: "MethodNotAllowed", 406: "NotAcceptable", 410: "Expired", 415: "UnsupportedMediaType", 431: "",
		501: "", 505: "",
	} {
		rows = append(rows, row{code, jsonType, statusBody(reason, ""), kubeapi.ErrRefused, "the message", ""},
			row{code, "text/html", html, kubeapi.ErrNotServed, "HTML", "<html>"}, row{
				code, "", "", kubeapi.ErrNotServed, "get node n",
				"",
			})
	}
	for _, c := range rows {
		s := listen(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.WriteHeader(c.code)
			_, _ = io.WriteString(w, c.body)
		})
		_, err := kubeapi.Node(t.Context(), loaded(t, trusting(s), "token: "+secret), "n")
		if got := classesOf(err); len(got) > 1 || len(got) == 1 && !errors.Is(c.want, got[0]) || len(got) == 0 &&
			c.want != err {
			t.Errorf("%d %s %s: %v, want %v", c.code, c.kind, c.body, err, c.want)
			continue
		}
		if err == nil {
			continue
		}
		says(t, err, "get node n", c.says)
		if c.quiet != "" && strings.Contains(err.Error(), c.quiet) {
			t.Errorf("%q quotes %q", err, c.quiet)
		}
	}
}

// classesOf returns the sentinel errors that an error wraps.
func classesOf(err error) (all []error) {
	for _, class := range []error{
		ErrKubeconfig, kubeapi.ErrNotFound, kubeapi.ErrExists, kubeapi.ErrConflict, kubeapi.ErrUnauthorized,
		kubeapi.ErrForbidden, kubeapi.ErrInvalid, kubeapi.ErrRefused, kubeapi.ErrUnavailable, kubeapi.ErrNotServed,
		kubeapi.ErrMalformed,
	} {
		if errors.Is(err, class) {
			all = append(all, class)
		}
	}
	return all
}

// TestNotFoundMatchesObjectOfRequest requests each kind of object, and responds with the Status of the API server for
// it and for another object.
func TestNotFoundMatchesObjectOfRequest(t *testing.T) {
	var details string
	s := listen(t, func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusNotFound, "NotFound", details) })
	c, ctx := loaded(t, trusting(s), ""), t.Context()
	handles := kubeapi.NewObjects[contents](c, "crd.projectcalico.org/v1", "ipamhandles")
	const handle = `"name":"a","group":"crd.projectcalico.org","kind":"ipamhandles"`
	for name, r := range map[string]struct {
		make    func() error
		details string
	}{
		"get":    {func() error { _, err := handles.Get(ctx, "a"); return err }, handle},
		"cached": {func() error { _, err := handles.GetCached(ctx, "a"); return err }, handle},
		"update": {func() error { _, err := handles.Update(ctx, "a", &kubeapi.Object[contents]{}); return err }, handle},
		"delete": {func() error { return handles.Delete(ctx, "a", "u", "1") }, handle},
		"pod":    {func() error { _, err := kubeapi.Pod(ctx, c, "b", "a"); return err }, `"name":"a","kind":"pods"`},
		"namespace": {
			func() error { _, err := kubeapi.Namespace(ctx, c, "a"); return err },
			`"name":"a","kind":"namespaces"`,
		},
		"node":  {func() error { _, err := kubeapi.Node(ctx, c, "a"); return err }, `"name":"a","kind":"nodes"`},
		"CIDRs": {func() error { _, err := kubeapi.PodCIDRs(ctx, c, "a"); return err }, `"name":"a","kind":"nodes"`},
		"annotate": {
			func() error { return kubeapi.AnnotatePod(ctx, c, "b", kubeapi.Meta{Name: "a"}, nil) },
			`"name":"a","kind":"pods"`,
		},
		"empty": {func() error { return kubeapi.AnnotatePodIf(ctx, c, "b", "a", nil, nil) }, `"name":"a","kind":"pods"`},
	} {
		details = r.details
		if err := r.make(); !errors.Is(err, kubeapi.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
		for _, other := range []string{`"name":"b","kind":"namespaces"`, `"kind":"things"`, ""} {
			details = other
			if err := r.make(); !errors.Is(err, kubeapi.ErrNotServed) || errors.Is(err, kubeapi.ErrNotFound) {
				t.Errorf("%s about %q: %v, want ErrNotServed", name, other, err)
			}
		}
	}
	for name, make := range map[string]func() error{
		"create": func() error { _, err := handles.Create(ctx, "a", &kubeapi.Object[contents]{}); return err },
		"list":   func() error { _, err := handles.List(ctx, kubeapi.ListOptions{}); return err },
	} {
		details = handle
		if err := make(); !errors.Is(err, kubeapi.ErrNotServed) || errors.Is(err, kubeapi.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotServed", name, err)
		} else {
			says(t, err, "apply the CustomResourceDefinition of ipamhandles")
		}
	}
}

// TestSuccessMustBeFromAPI makes requests without a decoded response: a login page must not count as a successful
// deletion.
func TestSuccessMustBeFromAPI(t *testing.T) {
	s := listen(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, html) })
	c, ctx := loaded(t, trusting(s), ""), t.Context()
	handles := kubeapi.NewObjects[contents](c, "crd.projectcalico.org/v1", "ipamhandles")
	for name, err := range map[string]error{
		"delete":   handles.Delete(ctx, "a", "u", "1"),
		"annotate": kubeapi.AnnotatePod(ctx, c, "b", kubeapi.Meta{Name: "a"}, nil),
		"empty":    kubeapi.AnnotatePodIf(ctx, c, "b", "a", nil, nil),
		"version":  c.Ping(ctx),
	} {
		if !errors.Is(err, kubeapi.ErrNotServed) {
			t.Errorf("%s: %v, want ErrNotServed", name, err)
		}
	}
}

// TestHTTPSServerReachedOverHTTP makes a request over http to a TLS server, which rejects it.
func TestHTTPSServerReachedOverHTTP(t *testing.T) {
	s := listen(t, func(http.ResponseWriter, *http.Request) {})
	_, err := kubeapi.Node(t.Context(), loaded(t, "server: '"+strings.Replace(s.URL, "https", "http", 1)+"'", ""), "n")
	if !errors.Is(err, kubeapi.ErrNotServed) {
		t.Fatalf("%v, want ErrNotServed", err)
	}
	says(t, err, "400 Bad Request", "use http", "https://")
}
