package install

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// jwt returns a token that says when it is valid.
func jwt(from, to time.Time) string {
	return "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iat": %d, "exp": %d}`, from.Unix(), to.Unix())) + ".c2ln"
}

// TestATokenIsRenewedAfterAQuarterOfItsLifeWhateverTheClocksSay: the API server's clock and the node's may differ.
func TestATokenIsRenewedAfterAQuarterOfItsLifeWhateverTheClocksSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		life := time.Duration(rapid.IntRange(600, 1e6).Draw(t, "life")) * time.Second
		skew := time.Duration(rapid.IntRange(-1e7, 1e7).Draw(t, "skew")) * time.Second
		c := newCredential(jwt(now.Add(skew), now.Add(skew+life)), now.Add(skew+life), now, rapid.Float64Range(0, 0.999).Draw(t, "spread"))
		quarter := life / 4
		for _, tt := range []struct {
			after time.Duration
			due   bool
		}{{0, false}, {quarter * 89 / 100, false}, {quarter * 111 / 100, true}, {life, true}, {-2 * time.Minute, true}, {-time.Second, false}} {
			if got := c.due(now.Add(tt.after)); got != tt.due {
				t.Fatalf("after %s of %s: due is %v", tt.after, life, got)
			}
		}
		if !c.good(now.Add(quarter*111/100)) || c.good(now.Add(life*51/100)) {
			t.Fatal("it is good until half of its life is over")
		}
	})
}

func TestNoTokenIsDue(t *testing.T) {
	if now := time.Now(); !(credential{}).due(now) || (credential{}).good(now) {
		t.Error("no token is good, or not due")
	}
}

func TestATokenThatSaysNothingGoesByTheAnswer(t *testing.T) {
	now := time.Now()
	for _, token := range []string{"opaque", "a.b.c", "e30.e30.x", jwt(now, now.Add(-time.Hour)), "e30.!.x"} {
		if c := newCredential(token, now.Add(8*time.Hour), now, 0.5); c.due(now.Add(2*time.Hour-time.Second)) || !c.due(now.Add(2*time.Hour)) {
			t.Errorf("token %s is renewed at %s", token, c.renew)
		}
	}
}

func TestTheThrottleSpacesRepairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		th := throttle{first: 10 * time.Second, most: 5 * time.Minute}
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var last time.Time
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
			if th.wait(now) > 0 {
				if now.Sub(last) >= 5*time.Minute {
					t.Fatal("waits longer than it may")
				}
				continue
			}
			if !last.IsZero() && now.Sub(last) < 10*time.Second {
				t.Fatal("does not wait")
			}
			th.used(now)
			last = now
		}
		if th.wait(last.Add(-time.Hour)) != 0 {
			t.Fatal("a clock that was set back has to wait")
		}
	})
}
