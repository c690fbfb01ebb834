// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// bearerToken is a token of the plugins' service account. All times except expires are by this node's clock, which may
// differ from the API server's. The lifetime is the difference of two times of the server.
type bearerToken struct {
	value  string
	issued time.Time
	// expires is by the API server's clock. It is for logs and metrics only.
	expires time.Time
	// renew is when to request the next token. half is when half of the lifetime is over.
	renew, half time.Time
}

// minLifetime is the minimum lifetime of a token that Kubernetes issues.
const minLifetime = 10 * time.Minute

// newToken plans the renewal after a quarter of the token's lifetime, up to a tenth of that earlier or later, so
// that the nodes of a cluster do not renew at the same time. spread is in [0, 1).
//
// Source: Calico's node agent renews at a quarter, too.
func newToken(value string, expires, now time.Time, spread float64) bearerToken {
	// Drop the monotonic reading, which ignores a suspended machine and a changed clock.
	now = now.Round(0)
	lifetime := expires.Sub(now)
	if from, to, ok := validity(value); ok {
		lifetime = to.Sub(from)
	}
	lifetime = max(lifetime, minLifetime)
	shift := time.Duration((spread - 0.5) * 0.2 * float64(lifetime/4))
	return bearerToken{
		value: value, expires: expires, issued: now, renew: now.Add(lifetime/4 + shift), half: now.Add(lifetime / 2),
	}
}

// due reports whether to renew the token: a quarter of its lifetime is over, or the clock was set back, so that its
// age is unknown.
func (t bearerToken) due(now time.Time) bool {
	now = now.Round(0)
	return t.value == "" || !now.Before(t.renew) || now.Before(t.issued.Add(-time.Minute))
}

// withRenewal plans the renewal at this age of the token. 0 changes nothing.
func (t bearerToken) withRenewal(age time.Duration) bearerToken {
	if age > 0 {
		t.renew = t.issued.Add(age)
	}
	return t
}

// good reports whether more than half of the token's lifetime is left. It is false if the clock was set back.
func (t bearerToken) good(now time.Time) bool {
	now = now.Round(0)
	return t.value != "" && now.Before(t.half) && !now.Before(t.issued.Add(-time.Minute))
}

// validity returns the times between which a token claims to be valid. It verifies nothing.
//
// Source: RFC 7519, sections 4.1.4 and 4.1.6.
func validity(token string) (from, to time.Time, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return from, to, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return from, to, false
	}
	var claims struct {
		IssuedAt int64 `json:"iat"`
		Expires  int64 `json:"exp"`
	}
	err = json.Unmarshal(payload, &claims)
	if err != nil || claims.IssuedAt <= 0 || claims.Expires <= claims.IssuedAt {
		return from, to, false
	}
	return time.Unix(claims.IssuedAt, 0), time.Unix(claims.Expires, 0), true
}
