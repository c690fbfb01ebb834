// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"calico-cni/pkg/install/credentials"
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

// TestLoadOfWatchersIsDocumented computes the requests per second of 5,000 watchers from their longest and shortest
// pause.
func TestLoadOfWatchersIsDocumented(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	settling := func(spread float64) time.Duration {
		w := New(Options{Now: func() time.Time { return now }, Spread: func() float64 { return spread }})
		for range 20 {
			w.settler.throttle.used(now)
		}
		return w.settler.throttle.wait(now)
	}
	for _, tt := range []struct {
		pause func(spread float64) time.Duration
		unit  time.Duration
		// capacity and reliability are parts of docs/capacity.md and docs/reliability.md.
		capacity, reliability string
	}{
		{
			credentials.CheckInterval, time.Minute, "| check of the token | one in %d to %d minutes | %s per second |",
			"makes %s requests per second to check the token",
		},
		{
			settling, time.Second, "| outage, with queued releases | one in %d to %d s | %s per second |",
			"%s requests per second if all nodes have",
		},
	} {
		const nodes = 5000
		short, long := tt.pause(0), tt.pause(1)
		load := fmt.Sprintf("%.0f to %.0f", nodes/long.Seconds(), nodes/short.Seconds())
		for page, want := range map[string]string{
			"capacity.md":    fmt.Sprintf(tt.capacity, short/tt.unit, long/tt.unit, load),
			"reliability.md": fmt.Sprintf(tt.reliability, load),
		} {
			text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", page))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), want) {
				t.Errorf("docs/%s does not contain %q", page, want)
			}
		}
	}
}
