// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"calico-cni/internal/hostlock"
)

func TestSettleTakesTheOldestFirst(t *testing.T) {
	for _, tt := range []struct {
		name    string
		limit   int
		match   string
		fails   string
		settled string
		left    string
	}{
		{"all", 9, "", "", "d c b a", ""},
		{"no more than the limit", 2, "", "", "d c", "net@a@eth0.json net@b@eth0.json"},
		{"none", 0, "", "", "", "net@a@eth0.json net@b@eth0.json net@c@eth0.json net@d@eth0.json"},
		{"those that match", 9, "ac", "", "c a", "net@b@eth0.json net@d@eth0.json"},
		{"those that match, to the limit", 1, "ab", "", "b", "net@a@eth0.json net@c@eth0.json net@d@eth0.json"},
		{"one that fails stays", 9, "", "c", "d c? b a", "net@c@eth0.json"},
		{"one that fails counts", 2, "", "d", "d? c", "net@a@eth0.json net@b@eth0.json net@d@eth0.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := newQueue(t)
			add(t, q, releaseOf("d"), releaseOf("c"), releaseOf("b"), releaseOf("a"))
			s := recorder{fails: tt.fails}
			var match func(Release) bool
			if tt.match != "" {
				match = func(r Release) bool { return strings.Contains(tt.match, r.ContainerID) }
			}
			done, err := settlerOf(q).Settle(t.Context(), tt.limit, match, s.settle)
			if want := strings.Count(tt.settled+" ", " ") - strings.Count(tt.settled, "?"); tt.settled != "" && done != want {
				t.Errorf("done %d, want %d", done, want)
			}
			if (tt.fails != "") != errors.Is(err, errSettle) || err != nil && tt.fails == "" {
				t.Errorf("error %v; failing: %q", err, tt.fails)
			}
			check(t, "settled", s.String(), tt.settled)
			check(t, "left", names(t, q), tt.left)
		})
	}
}

func TestSettleJoinsErrorsWithReleaseNames(t *testing.T) {
	q := newQueue(t)
	add(t, q, releaseOf("a"), releaseOf("b"), releaseOf("c"))
	s := recorder{fails: "a c"}
	done, err := settlerOf(q).Settle(t.Context(), 9, nil, s.settle)
	if done != 1 || err == nil {
		t.Fatalf("Settle = %d, %v", done, err)
	}
	check(t, "error", err.Error(), `settle release of a in network net, queued at 2026-08-01T12:00:01Z: no route to host
settle release of c in network net, queued at 2026-08-01T12:00:03Z: no route to host`)
}

// TestFailingReleasesDoNotStarveOthers tries two releases at a time. The two oldest always fail.
func TestFailingReleasesDoNotStarveOthers(t *testing.T) {
	q := newQueue(t)
	add(t, q, releaseOf("a"), releaseOf("b"), releaseOf("c"), releaseOf("d"))
	s := recorder{fails: "a b"}
	for range 3 {
		if _, err := settlerOf(q).Settle(t.Context(), 2, nil, s.settle); err != nil && !errors.Is(err, errSettle) {
			t.Error(err)
		}
	}
	check(t, "settled", s.String(), "a? b? c d a? b?")
}

func TestSettleStopsWhenContextEnds(t *testing.T) {
	q := newQueue(t)
	add(t, q, releaseOf("a"), releaseOf("b"), releaseOf("c"))
	ctx, cancel := context.WithCancel(t.Context())
	var s recorder
	done, err := settlerOf(q).Settle(ctx, 9, nil, func(ctx context.Context, r Release) error {
		if r.ContainerID == "b" {
			cancel()
		}
		return s.settle(ctx, r)
	})
	if done != 2 || err != nil {
		t.Errorf("Settle = %d, %v", done, err)
	}
	check(t, "settled", s.String(), "a b")
	check(t, "left", names(t, q), "net@c@eth0.json")
}

func TestSettleIsExclusive(t *testing.T) {
	q := newQueue(t)
	add(t, q, releaseOf("a"))
	var s recorder
	done, err := settlerOf(q).Settle(t.Context(), 9, nil, func(ctx context.Context, r Release) error {
		if n, err := settlerOf(q).Settle(ctx, 9, nil, s.settle); n != 0 || err != nil {
			t.Errorf("second at once: %d, %v; want 0 and no error", n, err)
		}
		return s.settle(ctx, r)
	})
	if done != 1 || err != nil || s.String() != "a" {
		t.Errorf("Settle = %d, %v of %s", done, err, &s)
	}
}

// TestReleaseAddedDuringSettlingStays replaces a release while it is settled. The new one may concern an address that
// was allocated later.
func TestReleaseAddedDuringSettlingStays(t *testing.T) {
	for name, settle := range map[string]func(Queue, func(context.Context, Release) error) error{
		"all": func(q Queue, f func(context.Context, Release) error) error {
			_, err := settlerOf(q).Settle(context.Background(), 9, nil, f)
			return err
		},
		"one": func(q Queue, f func(context.Context, Release) error) error {
			return settlerOf(q).SettleOne(context.Background(), releaseOf("a").Key(), f)
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := newQueue(t)
			add(t, q, releaseOf("a"))
			newer := releaseOf("a")
			newer.Queued = noon
			if err := settle(q, func(context.Context, Release) error { return q.Add(newer) }); err != nil {
				t.Error(err)
			}
			check(
				t,
				"left",
				dump(t, q),
				`-rw------- net@a@eth0.json {"version":1,"network":"net","containerID":"a","ifName":"eth0","queued":"2026-08-01T12:00:00Z","others":"none"}
`,
			)
		})
	}
}

func TestBrokenFileIsRenamedOnceAndBlocksNoOthers(t *testing.T) {
	for name, data := range map[string]string{
		"empty": "", "cut off": `{"version":1,"network":"net","contai`, "other type": `[]`,
		"no container": `{"version":1,"network":"net"}`, "no network": `{"version":1,"containerID":"b"}`,
		"no version": `{"network":"net","containerID":"b","ifName":"eth0"}`,
	} {
		t.Run(name, func(t *testing.T) {
			q := newQueue(t)
			add(t, q, releaseOf("a"), releaseOf("b"), releaseOf("c"))
			put(t, q, "net@b@eth0.json", data)
			var s recorder
			done, err := settlerOf(q).Settle(t.Context(), 2, nil, s.settle)
			if done != 2 || err == nil || !strings.Contains(err.Error(), q.files().path("net@b@eth0.json")) ||
				!strings.Contains(err.Error(), q.files().path("net@b@eth0.json.broken")) {
				t.Errorf("Settle = %d, %v; want 2 and an error that names the file, and where it is now", done, err)
			}
			check(t, "settled", s.String(), "a c")
			check(t, "left", names(t, q), "net@b@eth0.json.broken")
			checkLen(t, q, 0)
			if done, err := settlerOf(q).Settle(t.Context(), 2, nil, s.settle); done != 0 || err != nil {
				t.Errorf("again: %d, %v", done, err)
			}
		})
	}
}

func TestBrokenFileOfAttachmentIsReportedOnce(t *testing.T) {
	q := newQueue(t)
	add(t, q, releaseOf("b"))
	put(t, q, "net@b@eth0.json", "?")
	var s recorder
	if err := settlerOf(q).SettleOne(t.Context(), releaseOf("b").Key(), s.settle); err == nil ||
		!strings.Contains(err.Error(), ".broken") {
		t.Errorf("SettleOne = %v, want an error that names the file", err)
	}
	if err := settlerOf(q).SettleOne(t.Context(), releaseOf("b").Key(), s.settle); err != nil {
		t.Errorf("again: %v", err)
	}
	check(t, "left", names(t, q), "net@b@eth0.json.broken")
	add(t, q, releaseOf("b"))
	checkLen(t, q, 1)
}

func TestSettleOneSettlesOnlyItsRelease(t *testing.T) {
	q := newQueue(t)
	add(t, q, releaseOf("a"), releaseOf("b"))
	s := recorder{}
	if err := settlerOf(q).SettleOne(t.Context(), releaseOf("b").Key(), s.settle); err != nil {
		t.Error(err)
	}
	check(t, "settled", s.String(), "b")
	check(t, "left", names(t, q), "net@a@eth0.json")
	s.fails = "a"
	if err := settlerOf(q).SettleOne(t.Context(), releaseOf("a").Key(), s.settle); !errors.Is(err, errSettle) {
		t.Errorf("SettleOne = %v", err)
	}
	check(t, "left", names(t, q), "net@a@eth0.json")
}

func TestSettleEmptyQueueWritesNothing(t *testing.T) {
	q := newQueue(t)
	var s recorder
	settle := func() {
		t.Helper()
		if n, err := settlerOf(q).Settle(t.Context(), 9, nil, s.settle); n != 0 || err != nil {
			t.Errorf("Settle = %d, %v", n, err)
		}
		if err := settlerOf(q).SettleOne(t.Context(), releaseOf("a").Key(), s.settle); err != nil {
			t.Errorf("SettleOne = %v", err)
		}
	}
	settle()
	if _, err := os.Stat(q.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v, want none", q.Dir, err)
	}
	if err := os.MkdirAll(q.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	unlock, err := hostlock.Try(q.files().path(settleLock))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	settle()
	check(t, "settled", s.String(), "")
}

func TestSettleOneWaitsForRunningSettle(t *testing.T) {
	q := newQueue(t)
	add(t, q, releaseOf("a"))
	var s recorder
	one := make(chan error, 1)
	_, err := settlerOf(q).Settle(t.Context(), 9, nil, func(ctx context.Context, r Release) error {
		ended, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		if err := settlerOf(q).SettleOne(ended, r.Key(), s.settle); !errors.Is(err, hostlock.ErrBusy) {
			t.Errorf("while another process settles it: %v, want ErrBusy", err)
		}
		go func() { one <- settlerOf(q).SettleOne(context.WithoutCancel(ctx), r.Key(), s.settle) }()
		return s.settle(ctx, r)
	})
	if err := errors.Join(err, <-one); err != nil {
		t.Error(err)
	}
	check(t, "settled", s.String(), "a")
}

func TestSettleRemovesTemporaryFiles(t *testing.T) {
	q := newQueue(t)
	add(t, q, releaseOf("a"))
	put(t, q, ".net@a@eth0.json.123.atomicfile", "{")
	var s recorder
	if done, err := settlerOf(q).Settle(t.Context(), 9, nil, s.settle); done != 1 || err != nil {
		t.Errorf("Settle = %d, %v", done, err)
	}
	check(t, "left", names(t, q), "")
}

func TestSettleContainerSettlesAllInterfaces(t *testing.T) {
	q := newQueue(t)
	long := strings.Repeat("x", 255)
	other := releaseOf("a")
	other.IfName = "net1"
	elsewhere := releaseOf("a")
	elsewhere.Network = "other"
	hidden := Release{Network: "net", ContainerID: "a", IfName: long}
	add(
		t,
		q,
		releaseOf("a"),
		other,
		elsewhere,
		hidden,
		releaseOf("ab"),
		Release{Network: long, ContainerID: "a", IfName: "eth0"},
	)
	var s recorder
	if err := settlerOf(q).SettleContainer(t.Context(), "net", "a", s.settle); err != nil {
		t.Error(err)
	}
	check(t, "settled", s.String(), "a a a")
	checkLen(t, q, 3)
	s = recorder{fails: "ab"}
	if err := settlerOf(q).SettleContainer(t.Context(), "net", "ab", s.settle); !errors.Is(err, errSettle) {
		t.Errorf("SettleContainer = %v", err)
	}
	put(t, q, "net@c@eth0.json", "?")
	if err := settlerOf(q).SettleContainer(t.Context(), "net", "a", s.settle); err != nil {
		t.Errorf("with a damaged file of another container: %v", err)
	}
	if err := settlerOf(q).SettleContainer(t.Context(), "net", "c", s.settle); err == nil {
		t.Error("no error for a damaged file of the container")
	}
}
