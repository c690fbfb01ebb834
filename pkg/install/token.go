package install

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// credential is a token of the plugins' service account. Its times are those of this node's clock, whatever the API
// server's says: how long it lives is the difference of two times of the server's.
type credential struct {
	token  string
	issued time.Time
	// renew is when to ask for the next, and until when half of its life is over.
	renew, until time.Time
}

// shortest is the life that Kubernetes gives a token at least.
const shortest = 10 * time.Minute

// newCredential plans to renew after a quarter of the token's life, a tenth of that sooner or later, so that the nodes
// of a cluster do not all come at once. spread is in [0, 1).
//
// Source: Calico's node agent renews at a quarter, too.
func newCredential(token string, expires, now time.Time, spread float64) credential {
	// Without its monotonic part, a time tells of a sleep of the machine, and of a clock that was set.
	now = now.Round(0)
	life := expires.Sub(now)
	if from, to, ok := validity(token); ok {
		life = to.Sub(from)
	}
	life = max(life, shortest)
	early := time.Duration((spread - 0.5) * 0.2 * float64(life/4))
	return credential{token: token, issued: now, renew: now.Add(life/4 + early), until: now.Add(life / 2)}
}

// due says that the token should be renewed: it is a quarter through, or the clock was set back, and nobody knows.
func (c credential) due(now time.Time) bool {
	now = now.Round(0)
	return c.token == "" || !now.Before(c.renew) || now.Before(c.issued.Add(-time.Minute))
}

// renewAfter has the token renewed sooner or later than its life has it; 0 changes nothing.
func (c credential) renewAfter(d time.Duration) credential {
	if d > 0 {
		c.renew = c.issued.Add(d)
	}
	return c
}

// good says that more than half of the token's life is left. It is false when the clock was set back.
func (c credential) good(now time.Time) bool {
	now = now.Round(0)
	return c.token != "" && now.Before(c.until) && !now.Before(c.issued.Add(-time.Minute))
}

// validity returns from when to when a token says that it is valid. Nothing is verified.
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
	if err := json.Unmarshal(payload, &claims); err != nil || claims.IssuedAt <= 0 || claims.Expires <= claims.IssuedAt {
		return from, to, false
	}
	return time.Unix(claims.IssuedAt, 0), time.Unix(claims.Expires, 0), true
}
