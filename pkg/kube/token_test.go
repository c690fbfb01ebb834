// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTokenIsBoundToNodeIfSupported(t *testing.T) {
	const (
		plain = `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":3600}}`
		node  = `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":3600,` +
			`"boundObjectRef":{"apiVersion":"v1","kind":"Node","name":"n1"}}}`
	)
	const issuedToken = `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","status":{"token":"T",` +
		`"expirationTimestamp":"2030-01-02T03:04:05Z"}}`
	status := func(code int, reason, message string) string {
		return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q,"message":%q}`,
			code, reason, message)
	}
	for _, tt := range []struct {
		name string
		// code and answer are the server's response to a request for a bound token.
		code   int
		answer string
		asked  []string
		bound  bool
		want   error
	}{
		{"supported", 201, issuedToken, []string{node}, true, nil},
		{"before 1.31", 400, status(400, "BadRequest",
			`cannot bind token for serviceaccount "a" to type /v1, Kind=Node`), []string{node, plain}, false, nil},
		{"no such node", 404, status(404, "NotFound", `nodes "n1" not found`), []string{node, plain}, false, nil},
		{"not permitted", 403, status(403, "Forbidden", "no"), []string{node}, false, ErrForbidden},
		{"not known", 401, status(401, "Unauthorized", "no"), []string{node}, false, ErrUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			s := listen(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				asked = append(asked, string(body))
				w.Header().Set("Content-Type", "application/json")
				if strings.Contains(string(body), "boundObjectRef") {
					w.WriteHeader(tt.code)
					_, _ = io.WriteString(w, tt.answer)
					return
				}
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, issuedToken)
			})
			token, bound, err := loaded(t, trusting(s), "token: 'x'").RequestNodeToken(t.Context(), "ns", "a", "n1",
				time.Hour)
			if !errors.Is(err, tt.want) || bound != tt.bound || err == nil && token.Value != "T" {
				t.Errorf("RequestNodeToken = %q, %t, %v; want bound %t, error %v", token.Value, bound, err, tt.bound,
					tt.want)
			}
			if diff := cmp.Diff(tt.asked, asked); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}
