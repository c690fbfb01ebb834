// SPDX-License-Identifier: Apache-2.0

package preview

import (
	"strings"
	"testing"
)

const token = "eyJhbGciOi.secret.c2lnbmF0dXJl"

func TestRedactRemovesSecrets(t *testing.T) {
	for _, text := range []string{
		"    token: hunter2\n", "token: 'hunter2'", `{"k8s_auth_token": "hunter2"}`, `"client-key-data": "hunter2",`,
		`{"Password":"a\"hunter2"}`,
		`{"etcd_key": 1, "a_secret": hunter2}`, `{"url": "https://h/?t=` + token + `"}`, "token: >-\n  " + token,
	} {
		if got := redact([]byte(text)); strings.Contains(got, "hunter2") || strings.Contains(got, token) {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
	const plain = `{"name": "n", "mtu": 1500, "type": "calico"}`
	if got := redact([]byte(plain)); got != plain {
		t.Errorf("%s is shown as %s", plain, got)
	}
}
