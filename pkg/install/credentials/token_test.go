// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// jwt returns a token that contains its validity.
func jwt(from, to time.Time) string {
	return "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iat": %d, "exp": %d}`, from.Unix(),
		to.Unix())) + ".c2ln"
}

// TestTokenIsDueAfterAQuarterOfItsLifetime also sets the API server's clock before and after the node's.
func TestTokenIsDueAfterAQuarterOfItsLifetime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		life := time.Duration(rapid.IntRange(600, 1e6).Draw(t, "life")) * time.Second
		skew := time.Duration(rapid.IntRange(-1e7, 1e7).Draw(t, "skew")) * time.Second
		spread := rapid.Float64Range(0, 0.999).Draw(t, "spread")
		c := newToken(jwt(now.Add(skew), now.Add(skew+life)), now.Add(skew+life), now, spread)
		quarter := life / 4
		for _, tt := range []struct {
			after time.Duration
			due   bool
		}{
			{0, false},
			{quarter * 89 / 100, false},
			{quarter * 111 / 100, true},
			{life, true},
			{-2 * time.Minute, true},
			{-time.Second, false},
		} {
			if got := c.due(now.Add(tt.after)); got != tt.due {
				t.Fatalf("after %s of %s: due is %v", tt.after, life, got)
			}
		}
		if !c.good(now.Add(quarter*111/100)) || c.good(now.Add(life*51/100)) {
			t.Fatal("want it good until half of its lifetime is over")
		}
	})
}

func TestMissingTokenIsDue(t *testing.T) {
	now := time.Now()
	if !(bearerToken{}).due(now) || (bearerToken{}).good(now) {
		t.Error("no token is good, or not due")
	}
}

func TestOpaqueTokenExpiresByTheAnswer(t *testing.T) {
	now := time.Now()
	for _, value := range []string{"opaque", "a.b.c", "e30.e30.x", jwt(now, now.Add(-time.Hour)), "e30.!.x"} {
		c := newToken(value, now.Add(8*time.Hour), now, 0.5)
		if c.due(now.Add(2*time.Hour-time.Second)) || !c.due(now.Add(2*time.Hour)) {
			t.Errorf("token %s is renewed at %s", value, c.renew)
		}
	}
}
