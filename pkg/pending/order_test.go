// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"
)

// TestOrderDoesNotDependOnTheClock adds and settles releases while the wall clock is set forward and back.
func TestOrderDoesNotDependOnTheClock(t *testing.T) {
	for name, step := range map[string]time.Duration{"set back": -time.Hour, "set forward": time.Hour, "stopped": 0} {
		q := newQueue(t)
		clock := noon
		q.Now = func() time.Time {
			clock = clock.Add(step)
			return clock
		}
		add(t, q, releaseOf("c"), releaseOf("b"), releaseOf("a"))
		s := recorder{fails: "c b"}
		for range 3 {
			if _, err := settlerOf(q).Settle(t.Context(), 2, nil, s.settle); err != nil && !errors.Is(err, errSettle) {
				t.Error(err)
			}
		}
		check(t, name, s.String(), "c? b? a c? b? c?")
	}
}

func TestReleaseIsNotQueuedAfterAddBegan(t *testing.T) {
	q := newQueue(t)
	begun := false
	if err := q.Exclude(func() error { begun = true; return nil }); err != nil {
		t.Fatal(err)
	}
	err := q.AddIf(releaseOf("c"), func() bool { return !begun })
	if !errors.Is(err, ErrSuperseded) {
		t.Errorf("AddIf = %v, want ErrSuperseded", err)
	}
	checkLen(t, q, 0)
	if err := q.AddIf(releaseOf("c"), func() bool { return true }); err != nil {
		t.Error(err)
	}
	checkLen(t, q, 1)
	if info, err := os.Stat(q.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info.Mode(), err)
	}
}

// TestReplacementKeepsAddresses repeats a DEL without prevResult.
func TestReplacementKeepsAddresses(t *testing.T) {
	q, first := newQueue(t), releaseOf("c")
	first.Addresses = []netip.Addr{netip.MustParseAddr("10.1.2.3")}
	add(t, q, first, releaseOf("c"))
	check(
		t,
		"directory",
		dump(t, q),
		`-rw------- net@c@eth0.json {"version":1,"network":"net","containerID":"c","ifName":"eth0",`+
			`"queued":"2026-08-01T12:00:02Z","others":"none","addresses":["10.1.2.3"]}
`,
	)
}
