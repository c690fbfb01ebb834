// SPDX-License-Identifier: Apache-2.0

package announce_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"calico-cni/pkg/announce"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/workload"
)

const (
	podPath = "/api/v1/namespaces/default/pods/web"
	podUID  = "6a1c2a4e-0000-4000-8000-000000000001"
	ours    = "ours"
	others  = "others"
)

// apiServer serves one pod: it reads the pod and patches its status subresource. It checks the preconditions of a patch
// as the API server does; test/kubeclient tests the client against the real one.
type apiServer struct {
	t *testing.T
	// annotations are those of the pod; gone says that the pod does not exist.
	annotations map[string]string
	gone        bool
	version     int
	// beforePatch, if not nil, runs before each merge patch, like the request of another client.
	beforePatch func()
	// requests are the methods of the requests so far.
	requests []string
}

// serve starts an API server with a pod that has these annotations. It returns the Announcer of the container "ours".
func serve(t *testing.T, annotations map[string]string) (*apiServer, announce.Announcer) {
	t.Helper()
	s := &apiServer{t: t, annotations: maps.Clone(annotations), version: 1}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	client, err := kube.Direct{Server: h.URL}.Client("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	id := workload.ID{ContainerID: ours, IfName: "eth0", Namespace: "default", Pod: "web", PodUID: podUID}
	return s, announce.Announcer{Client: client, ID: id}
}

// pod returns the pod as a client reads it.
func (s *apiServer) pod() kubeapi.Meta {
	return kubeapi.Meta{
		Name: "web", UID: podUID, ResourceVersion: strconv.Itoa(s.version), Annotations: maps.Clone(s.annotations),
	}
}

// set sets an annotation, like another client.
func (s *apiServer) set(key, value string) {
	s.annotations = maps.Clone(s.annotations)
	if s.annotations == nil {
		s.annotations = map[string]string{}
	}
	s.annotations[key] = value
	s.version++
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests = append(s.requests, r.Method)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	w.Header().Set("Content-Type", "application/json")
	switch content := r.Header.Get("Content-Type"); {
	case s.gone:
		fail(w, http.StatusNotFound, "NotFound")
		return
	case r.Method == http.MethodGet && r.URL.Path == podPath:
	case r.Method == http.MethodPatch && r.URL.Path == podPath+"/status" && content == "application/merge-patch+json":
		if !s.merge(body) {
			fail(w, http.StatusConflict, "Conflict")
			return
		}
	case r.Method == http.MethodPatch && r.URL.Path == podPath+"/status" && content == "application/json-patch+json":
		if !s.apply(body) {
			fail(w, http.StatusUnprocessableEntity, "Invalid")
			return
		}
	default:
		s.t.Errorf("%s %s with %q", r.Method, r.URL.Path, content)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": s.pod(),
	})
}

// fail responds with a Status about the pod.
func fail(w http.ResponseWriter, code int, reason string) {
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{"apiVersion":"v1","kind":"Status","code":%d,"reason":%q,"message":"%s",`+
		`"details":{"name":"web","kind":"pods"}}`, code, reason, reason)
}

// merge applies a merge patch (RFC 7386) unless the pod has another UID or resourceVersion.
func (s *apiServer) merge(body []byte) bool {
	if s.beforePatch != nil {
		s.beforePatch()
	}
	var patch struct {
		Metadata struct {
			UID, ResourceVersion string
			Annotations          map[string]*string
		}
	}
	if err := json.Unmarshal(body, &patch); err != nil {
		s.t.Error(err)
	}
	m := patch.Metadata
	if m.UID != podUID || m.ResourceVersion != "" && m.ResourceVersion != strconv.Itoa(s.version) {
		return false
	}
	for key, value := range m.Annotations {
		if value == nil {
			delete(s.annotations, key)
			continue
		}
		s.set(key, *value)
	}
	return true
}

// apply applies a JSON patch (RFC 6902) with the operations "test" and "replace", unless one of them fails.
func (s *apiServer) apply(body []byte) bool {
	var operations []struct{ Op, Path, Value string }
	if err := json.Unmarshal(body, &operations); err != nil {
		s.t.Error(err)
	}
	changed := maps.Clone(s.annotations)
	for _, o := range operations {
		key, found := strings.CutPrefix(o.Path, "/metadata/annotations/")
		key = strings.ReplaceAll(strings.ReplaceAll(key, "~1", "/"), "~0", "~")
		value, exists := changed[key]
		switch {
		case !found || o.Op != "test" && o.Op != "replace":
			s.t.Errorf("operation %+v", o)
		case !exists || o.Op == "test" && value != o.Value:
			return false
		case o.Op == "replace":
			changed[key] = o.Value
		}
	}
	s.annotations = changed
	s.version++
	return true
}
