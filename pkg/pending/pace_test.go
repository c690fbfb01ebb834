// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// paced returns a settler with a pace whose clock and random number the test sets.
func paced(t *testing.T) (s Settler, clock *time.Duration, random *float64) {
	t.Helper()
	clock, random = new(time.Duration), new(float64)
	*clock = time.Hour
	s = settlerOf(newQueue(t))
	s.Pace = &Pace{
		File: filepath.Join(t.TempDir(), "run", "settling"),
		Boot: func() time.Duration { return *clock }, Random: func() float64 { return *random },
	}
	return s, clock, random
}

func TestFirstContactAfterOutageDelaysSettling(t *testing.T) {
	paced, clock, random := paced(t)
	add(
		t,
		paced.Queue,
		releaseOf("g"),
		releaseOf("f"),
		releaseOf("e"),
		releaseOf("d"),
		releaseOf("c"),
		releaseOf("b"),
		releaseOf("a"),
	)
	*random = 0.5
	step := func(what string, advance time.Duration, reached bool, settled string) {
		t.Helper()
		*clock += advance
		var s recorder
		got, err := paced.Pace.Reached()
		if err != nil {
			t.Fatal(err)
		}
		if got {
			if _, err := paced.Settle(t.Context(), 9, nil, s.settle); err != nil {
				t.Error(err)
			}
		}
		if got != reached || s.String() != settled {
			t.Errorf("%s: may settle %t, settled %q; want %t, %q", what, got, &s, reached, settled)
		}
	}
	step("first contact", 0, false, "")
	if !paced.Pace.Delayed() {
		t.Error("not delayed after the first contact")
	}
	step("just before the delay has passed", 30*time.Second-1, false, "")
	step("when it has passed", 1, true, "g f e d c")
	if paced.Pace.Delayed() {
		t.Error("still delayed")
	}
	step("at once again", 0, false, "")
	step("a turn later", interval, true, "b")
	paced.Pace.Lost()
	step("first contact after another outage", interval, false, "")
	step("after a reboot that kept the file", -30*time.Minute, false, "")
	step("and its delay", 30*time.Second, true, "a")
}

func TestUnknownScheduleIsReplaced(t *testing.T) {
	for name, data := range map[string]string{
		"empty": "", "torn": `{"version":1,"notBef`, "version 2": `{"version":2,"notBefore":0,"next":0}`, "none": "none",
	} {
		paced, clock, random := paced(t)
		*random = 0.25
		if name != "none" {
			if err := os.MkdirAll(filepath.Dir(paced.Pace.File), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(paced.Pace.File, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if ready, err := paced.Pace.Reached(); ready || err != nil {
			t.Errorf("%s: settles at once: %t, %v", name, ready, err)
		}
		*clock += 15 * time.Second
		if ready, err := paced.Pace.Reached(); !ready || err != nil {
			t.Errorf("%s: settles after the delay: %t, %v", name, ready, err)
		}
	}
}

// TestQueueIsSettledWithoutSchedule uses a directory in place of the file: one command in ten settles releases, and
// says what to remove.
func TestQueueIsSettledWithoutSchedule(t *testing.T) {
	paced, _, random := paced(t)
	add(t, paced.Queue, releaseOf("a"))
	if err := os.MkdirAll(filepath.Join(paced.Pace.File, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	*random = 0.5
	if ready, err := paced.Pace.Reached(); ready || !errors.Is(err, syscall.EISDIR) {
		t.Errorf("random 0.5: %t, %v; want false and the path", ready, err)
	}
	*random = 0.05
	if ready, err := paced.Pace.Reached(); !ready || err == nil {
		t.Errorf("random 0.05: %t, %v; want true", ready, err)
	}
	var s recorder
	if _, err := paced.Settle(t.Context(), 9, nil, s.settle); err != nil || s.String() != "a" {
		t.Errorf("settled %q, %v", &s, err)
	}
}

func TestSettleWaitsAtMostMaxWait(t *testing.T) {
	paced, clock, _ := paced(t)
	add(
		t,
		paced.Queue,
		releaseOf("g"),
		releaseOf("f"),
		releaseOf("e"),
		releaseOf("d"),
		releaseOf("c"),
		releaseOf("b"),
		releaseOf("a"),
	)
	paced.Pace.MaxWait = interval
	paced.Pace.Boot = func() time.Duration {
		*clock += interval / 2
		return *clock
	}
	ctx, cancel := context.WithCancel(t.Context())
	var s recorder
	if done, err := paced.Settle(ctx, 9, nil, s.settle); done != 7 || err != nil {
		t.Errorf("Settle = %d, %v", done, err)
	}
	add(t, paced.Queue, releaseOf("c"))
	cancel()
	if done, err := paced.Settle(ctx, 9, nil, s.settle); done != 0 || err != nil {
		t.Errorf("Settle = %d, %v after the context has ended", done, err)
	}
}

// TestLoadOfAClusterAfterAnOutage simulates the schedules of 5,000 nodes. Each reaches the API server at a random time
// in the first 5 s. docs/reliability.md and docs/capacity.md contain the figures.
func TestLoadOfAClusterAfterAnOutage(t *testing.T) {
	// requests is the number of requests of a release: readiness, configuration and handle, the block, the handle again,
	// the pod.
	const nodes, contactWithin, requests = 5000, 5 * time.Second, 6
	for _, c := range []struct {
		releases    int
		peak, total int
		within      time.Duration
	}{
		// peak is the maximum number of releases in a second.
		{releases: 1, peak: 150, total: 5_000, within: 65 * time.Second},
		{releases: 5, peak: 600, total: 25_000, within: 66 * time.Second},
		{releases: 40, peak: 3_700, total: 200_000, within: 73 * time.Second},
	} {
		random := rand.New(rand.NewPCG(1, uint64(c.releases)))
		perSecond := map[time.Duration]int{}
		var end time.Duration
		for range nodes {
			now := time.Duration(random.Float64() * float64(contactWithin))
			s := Schedule{}.Contact(now, random.Float64())
			for left := c.releases; left > 0; {
				var wait time.Duration
				if s, wait = s.Take(now); wait > 0 {
					now += wait
					continue
				}
				perSecond[now/time.Second]++
				left--
			}
			end = max(end, now)
		}
		peak, total := 0, 0
		for _, n := range perSecond {
			peak, total = max(peak, n), total+n
		}
		requests := grouped(peak * requests)
		seconds := fmt.Sprintf("%.0f s |", end.Seconds())
		for page, row := range map[string]string{
			"reliability.md": fmt.Sprintf("| %d | %s releases, %s requests | ", c.releases, grouped(peak), requests),
			"capacity.md":    fmt.Sprintf("| %d | %s requests per second | ", c.releases, requests),
		} {
			if !strings.Contains(readFile(t, filepath.Join("..", "..", "docs", page)), "\n"+row+seconds+"\n") {
				t.Errorf("docs/%s has no row %q", page, row+seconds)
			}
		}
		if peak > c.peak || total != c.total || end > c.within {
			t.Errorf("%d releases a node: peak %d, total %d, end %v; want at most %d, %d, "+
				"%v", c.releases, peak, total, end, c.peak, c.total, c.within)
		}
	}
}

// grouped returns a number below a million with a comma before its last three digits.
func grouped(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}
