// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
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
		{200, jsonType, object(`{"labels":1}`), ErrMalformed, "get node n", ""},
		{200, jsonType, `{"kind":"Node","apiVersion":"v1","meta`, ErrMalformed, "get node n", ""},
		// Not an object of the API.
		{200, "text/html", html, ErrNotServed, "200 OK with an HTML page", "<html>"},
		{200, "", html, ErrNotServed, "login page", "<html>"},
		{200, jsonType, `{"login":"required"}`, ErrNotServed, "without an object of the API", "required"},
		{200, jsonType, `{}`, ErrNotServed, "without an object of the API", ""},
		{200, jsonType, `null`, ErrNotServed, "without an object of the API", ""},
		{200, jsonType, `[{"apiVersion":"v1"}]`, ErrNotServed, "without an object of the API", ""},
		{200, jsonType, `{"apiVersion":""}`, ErrNotServed, "without an object of the API", ""},
		{200, jsonType, ``, ErrNotServed, "without an object of the API", ""},
		{204, "", ``, ErrNotServed, "204 No Content", ""},
		{302, "", "", ErrNotServed, "302 Found", ""},
		{304, "", "", ErrNotServed, "304 Not Modified", ""},
		// Absent, and responses that only look like it.
		{404, jsonType, statusBody("NotFound", aboutN), ErrNotFound, "the message", ""},
		{404, jsonType, statusBody("NotFound", `"name":"m","kind":"nodes"`), ErrNotServed, "the message", ""},
		{404, jsonType, statusBody("NotFound", `"name":"n","kind":"pods"`), ErrNotServed, "the message", ""},
		{
			404, jsonType, statusBody("NotFound", `"name":"n","kind":"nodes","group":"g"`), ErrNotServed, "the message",
			"",
		},
		{404, jsonType, statusBody("NotFound", ""), ErrNotServed, "the message", ""},
		{404, jsonType, statusBody("", aboutN), ErrNotServed, "the message", ""},
		{404, jsonType, `{"reason":"NotFound","details":{` + aboutN + `}}`, ErrNotServed, "404 Not Found", ""},
		{404, "text/plain", "404 page not found\n", ErrNotServed, `404 Not Found: "404 page not found"`, ""},
		{404, "text/html", html, ErrNotServed, "404 Not Found with an HTML page", "<html>"},
		{404, "", "", ErrNotServed, "404 Not Found", ""},
		// Conflicts.
		{409, jsonType, statusBody("AlreadyExists", aboutN), ErrExists, "the message", ""},
		{409, jsonType, statusBody("Conflict", aboutN), ErrConflict, "the message", ""},
		{
			422, jsonType, statusBody("Invalid", `"causes":[{"field":"metadata.uid"}]`), ErrConflict,
			"another object of that name", "",
		},
		{409, "", "", ErrNotServed, "409 Conflict", ""},
		// Rejected objects.
		{422, jsonType, statusBody("Invalid", `"causes":[{"field":"spec.cidr"}]`), ErrInvalid, "the message", ""},
		{400, jsonType, statusBody("BadRequest", ""), ErrInvalid, "the message", ""},
		{413, jsonType, statusBody("RequestEntityTooLarge", ""), ErrInvalid, "the message", ""},
		{400, "text/plain", "Bad Request", ErrNotServed, `400 Bad Request: "Bad Request"`, ""},
		{413, "text/html", html, ErrNotServed, "HTML", "<html>"},
		// Credentials.
		{401, jsonType, statusBody("Unauthorized", ""), ErrUnauthorized, "does not accept kubeconfig", ""},
		{
			401, jsonType, `{"type":"error","message":"must authenticate"}`, ErrUnauthorized,
			"does not accept kubeconfig",
			"",
		},
		{401, "text/plain", "Unauthorized\n", ErrUnauthorized, "does not accept kubeconfig", ""},
		{401, "text/html", html, ErrNotServed, "401 Unauthorized with an HTML page", "<html>"},
		{403, jsonType, statusBody("Forbidden", aboutN), ErrForbidden, "the message", "ClusterRole"},
		{
			403, jsonType, strings.Replace(statusBody("Forbidden", aboutN), "the message",
				`User \"system:anonymous\" cannot get`, 1),
			ErrUnauthorized, "does not accept kubeconfig", "ClusterRole",
		},
		{
			403, jsonType, strings.Replace(statusBody("Forbidden", aboutN), "the message",
				"create not allowed while "+definitionTerminating, 1),
			ErrNotServed, definitionTerminating, "ClusterRole",
		},
		{403, "text/html", html, ErrNotServed, "403 Forbidden with an HTML page", "ClusterRole"},
		{511, "text/html", html, ErrNotServed, "HTML", "<html>"},
		// Overload and failure, reported by any server.
		{408, "", "", ErrUnavailable, "408", ""},
		{
			429, "text/plain", "Too many requests, please try again later.\n", ErrUnavailable,
			"please try again later.",
			"",
		},
		{429, jsonType, statusBody("TooManyRequests", ""), ErrUnavailable, "the message", ""},
		{500, jsonType, statusBody("InternalError", ""), ErrUnavailable, "the message", ""},
		{502, "text/html", html, ErrUnavailable, "502 Bad Gateway", "<html>"},
		{
			503, "text/plain", strings.Repeat("x", 10_000), ErrUnavailable, "503 Service Unavailable",
			strings.Repeat("x", 201),
		},
		{504, jsonType, statusBody("Timeout", ""), ErrUnavailable, "the message", ""},
		{599, "", "", ErrUnavailable, "599", ""},
	}
	// Permanent rejections: ErrRefused from the API server, ErrNotServed from another server.
	for code, reason := range map[int]string{
		402: "", 405: "MethodNotAllowed", 406: "NotAcceptable", 410: "Expired", 415: "UnsupportedMediaType", 431: "",
		501: "", 505: "",
	} {
		rows = append(rows, row{code, jsonType, statusBody(reason, ""), ErrRefused, "the message", ""},
			row{code, "text/html", html, ErrNotServed, "HTML", "<html>"}, row{
				code, "", "", ErrNotServed, "get node n",
				"",
			})
	}
	for _, c := range rows {
		s := listen(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.WriteHeader(c.code)
			_, _ = io.WriteString(w, c.body)
		})
		_, err := loaded(t, trusting(s), "token: "+secret).Node(t.Context(), "n")
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
		ErrKubeconfig, ErrNotFound, ErrExists, ErrConflict, ErrUnauthorized, ErrForbidden, ErrInvalid, ErrRefused,
		ErrUnavailable, ErrNotServed, ErrMalformed,
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
	handles := NewObjects[contents](c, "crd.projectcalico.org/v1", "ipamhandles")
	const handle = `"name":"a","group":"crd.projectcalico.org","kind":"ipamhandles"`
	for name, r := range map[string]struct {
		make    func() error
		details string
	}{
		"get":       {func() error { _, err := handles.Get(ctx, "a"); return err }, handle},
		"cached":    {func() error { _, err := handles.GetCached(ctx, "a"); return err }, handle},
		"update":    {func() error { _, err := handles.Update(ctx, "a", &Object[contents]{}); return err }, handle},
		"delete":    {func() error { return handles.Delete(ctx, "a", "u", "1") }, handle},
		"pod":       {func() error { _, err := c.Pod(ctx, "b", "a"); return err }, `"name":"a","kind":"pods"`},
		"namespace": {func() error { _, err := c.Namespace(ctx, "a"); return err }, `"name":"a","kind":"namespaces"`},
		"node":      {func() error { _, err := c.Node(ctx, "a"); return err }, `"name":"a","kind":"nodes"`},
		"CIDRs":     {func() error { _, err := c.PodCIDRs(ctx, "a"); return err }, `"name":"a","kind":"nodes"`},
		"annotate": {
			func() error { return c.AnnotatePod(ctx, "b", Meta{Name: "a"}, nil) },
			`"name":"a","kind":"pods"`,
		},
		"empty": {func() error { return c.AnnotatePodIf(ctx, "b", "a", nil, nil) }, `"name":"a","kind":"pods"`},
	} {
		details = r.details
		if err := r.make(); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
		for _, other := range []string{`"name":"b","kind":"namespaces"`, `"kind":"things"`, ""} {
			details = other
			if err := r.make(); !errors.Is(err, ErrNotServed) || errors.Is(err, ErrNotFound) {
				t.Errorf("%s about %q: %v, want ErrNotServed", name, other, err)
			}
		}
	}
	for name, make := range map[string]func() error{
		"create": func() error { _, err := handles.Create(ctx, "a", &Object[contents]{}); return err },
		"list":   func() error { _, err := handles.List(ctx, ListOptions{}); return err },
	} {
		details = handle
		if err := make(); !errors.Is(err, ErrNotServed) || errors.Is(err, ErrNotFound) {
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
	handles := NewObjects[contents](c, "crd.projectcalico.org/v1", "ipamhandles")
	for name, err := range map[string]error{
		"delete":   handles.Delete(ctx, "a", "u", "1"),
		"annotate": c.AnnotatePod(ctx, "b", Meta{Name: "a"}, nil),
		"empty":    c.AnnotatePodIf(ctx, "b", "a", nil, nil),
		"version":  c.Ping(ctx),
	} {
		if !errors.Is(err, ErrNotServed) {
			t.Errorf("%s: %v, want ErrNotServed", name, err)
		}
	}
}

// TestHTTPSServerReachedOverHTTP makes a request over http to a TLS server, which rejects it.
func TestHTTPSServerReachedOverHTTP(t *testing.T) {
	s := listen(t, func(http.ResponseWriter, *http.Request) {})
	_, err := loaded(t, "server: '"+strings.Replace(s.URL, "https", "http", 1)+"'", "").Node(t.Context(), "n")
	if !errors.Is(err, ErrNotServed) {
		t.Fatalf("%v, want ErrNotServed", err)
	}
	says(t, err, "400 Bad Request", "use http", "https://")
}
