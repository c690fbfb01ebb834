// SPDX-License-Identifier: Apache-2.0

package apigroup

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"calico-cni/pkg/install/apiclient"
)

// groupList returns the list of API groups that an API server sends.
func groupList(groupVersions ...string) string {
	var groups []string
	for _, gv := range groupVersions {
		group, version, _ := strings.Cut(gv, "/")
		groups = append(groups, fmt.Sprintf(`{"name": %q, "versions": [{"groupVersion": %q, "version": %q}]}`,
			group, gv, version))
	}
	return `{"kind": "APIGroupList", "apiVersion": "v1", "groups": [` + strings.Join(groups, ",") + `]}`
}

// answer is a response of the API server.
type answer struct {
	code int
	body string
}

// start returns a discovery at a server that sends the given answers, by path, and the paths that were requested.
func start(t *testing.T, answers map[string]answer) (Discovery, *[]string) {
	t.Helper()
	var requested []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requested = append(requested, r.URL.Path)
		a, ok := answers[r.URL.Path]
		if !ok {
			a = answer{404, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}`}
		}
		w.Header().Set("Content-Type", "application/json")
		if !strings.HasPrefix(a.body, "{") {
			w.Header().Set("Content-Type", http.DetectContentType([]byte(a.body)))
		}
		w.WriteHeader(a.code)
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, data := range map[string]string{"token": "secret", "ca.crt": string(ca)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	own := apiclient.Credentials{ServiceAccountDir: dir, Host: host, Port: port}
	return Discovery{Credentials: own, UserAgent: "test"}, &requested
}

func refusal(code int, reason string) answer {
	return answer{code, fmt.Sprintf(
		`{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": %q, "code": %d}`, reason, code)}
}

func TestDiscovery(t *testing.T) {
	const v1, v3, migration = "crd.projectcalico.org/v1", "projectcalico.org/v3", "migration.projectcalico.org/v1"
	phase := func(phase string) answer { return answer{200, fmt.Sprintf(`{"status": {"phase": %q}}`, phase)} }
	for _, c := range []struct {
		name      string
		groups    []string
		migration answer
		want      Served
		asks      int
	}{
		{"none", []string{"apps/v1"}, answer{}, Served{}, 1},
		{"v1", []string{"apps/v1", v1}, answer{}, Served{V1: true}, 1},
		{"v3", []string{v3}, answer{}, Served{V3: true}, 1},
		{"another version", []string{"projectcalico.org/v4"}, answer{}, Served{}, 1},
		{"both", []string{v1, v3}, answer{}, Served{V1: true, V3: true}, 1},
		{"migrating", []string{v1, v3, migration}, phase("Migrating"), Served{V1: true, V3: true, Migrating: true}, 2},
		{"failed", []string{v1, v3, migration}, phase("Failed"), Served{V1: true, V3: true}, 2},
		{"converged", []string{v1, v3, migration}, phase("Converged"), Served{V1: true, V3: true, Migrated: true}, 2},
		{"complete", []string{v1, v3, migration}, phase("Complete"), Served{V1: true, V3: true, Migrated: true}, 2},
		{"no migration", []string{v1, v3, migration}, refusal(404, "NotFound"), Served{V1: true, V3: true}, 2},
		{"v1 deleted after the migration", []string{v3, migration}, answer{}, Served{V3: true}, 1},
	} {
		d, requested := start(t, map[string]answer{"/apis": {200, groupList(c.groups...)}, migrationPath: c.migration})
		got, err := d.Served(t.Context())
		if err != nil || got != c.want || len(*requested) != c.asks {
			t.Errorf("%s: %+v, %v with requests %q; want %+v with %d requests", c.name, got, err, *requested, c.want, c.asks)
		}
	}
}

func TestDiscoveryErrorsNameTheRemedy(t *testing.T) {
	for _, c := range []struct {
		name      string
		answer    answer
		forbidden bool
		want      string
	}{
		{"credentials", refusal(401, "Unauthorized"), false, "delete the pod, so that it gets a new token"},
		{"RBAC", refusal(403, "Forbidden"), true, "as the ClusterRoles system:discovery and calico-cni-install do"},
		{"a login page", answer{200, "<html>log in</html>"}, false, "a login page answers"},
		{"another API", answer{200, `{"kind": "Status"}`}, false, "a login page answers"},
		{"an overloaded server", refusal(500, "InternalError"), false, "the API server answers"},
	} {
		d, _ := start(t, map[string]answer{"/apis": c.answer})
		_, err := d.Served(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrForbidden) != c.forbidden {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestMigrationThatCannotBeReadIsAnError(t *testing.T) {
	groups := groupList("crd.projectcalico.org/v1", "projectcalico.org/v3", "migration.projectcalico.org/v1")
	for code, reason := range map[int]string{500: "InternalError", 403: "Forbidden"} {
		d, requested := start(t, map[string]answer{"/apis": {200, groups}, migrationPath: refusal(code, reason)})
		got, err := d.Served(t.Context())
		if err == nil || !slices.Contains(*requested, migrationPath) || errors.Is(err, ErrForbidden) != (code == 403) {
			t.Errorf("%d: Served = %+v, %v; requests %q", code, got, err, *requested)
		}
	}
}
