// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"calico-cni/pkg/kubeapi"
)

func TestExpiresOfToken(t *testing.T) {
	end := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	jwt := func(claims string) string {
		part := base64.RawURLEncoding.EncodeToString
		return part([]byte(`{"alg":"none"}`)) + "." + part([]byte(claims)) + "." + part([]byte("x"))
	}
	good := jwt(fmt.Sprintf(`{"sub":"system:serviceaccount:kube-system:calico-cni-plugin","exp":%d}`, end.Unix()))
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(good+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		user string
		want time.Time
	}{
		"token":               {"token: " + good, end},
		"token file":          {"tokenFile: " + file, end},
		"token without end":   {"token: " + jwt(`{"sub":"x"}`), time.Time{}},
		"token of many parts": {"token: a.b.c.d", time.Time{}},
		"opaque token":        {"token: opaque", time.Time{}},
		"claims are no JSON":  {"token: a.b.c", time.Time{}},
		"password":            {"username: u, password: p", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := Load(write(t, kubeconfig("server: 'https://h'", c.user)), "test")
			if err != nil {
				t.Fatal(err)
			}
			if got := client.Expires(); !got.Equal(c.want) {
				t.Errorf("expires %v, want %v", got, c.want)
			}
			for offset, expired := range map[time.Duration]bool{-time.Second: false, 0: true, time.Hour: true} {
				err := client.CheckExpiry(end.Add(offset))
				if want := expired && !c.want.IsZero(); errors.Is(err, kubeapi.ErrUnauthorized) != want {
					t.Errorf("%s from the end: %v, want an error: %t", offset, err, want)
				}
			}
		})
	}
}
