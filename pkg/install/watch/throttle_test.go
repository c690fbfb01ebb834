// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestThrottle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		th := throttle{min: 10 * time.Second, max: 5 * time.Minute}
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var last time.Time
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
			if th.wait(now) > 0 {
				if now.Sub(last) >= 5*time.Minute {
					t.Fatal("the wait exceeds its maximum")
				}
				continue
			}
			if !last.IsZero() && now.Sub(last) < 10*time.Second {
				t.Fatal("no wait")
			}
			th.used(now)
			last = now
		}
		if th.wait(last.Add(-time.Hour)) != 0 {
			t.Fatal("a wait after the clock was set back")
		}
	})
}
