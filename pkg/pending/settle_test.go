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
			q := queue(t)
			add(t, q, release("d"), release("c"), release("b"), release("a"))
			s := settler{fails: tt.fails}
			var match func(Release) bool
			if tt.match != "" {
				match = func(r Release) bool { return strings.Contains(tt.match, r.ContainerID) }
			}
			done, err := q.Settle(t.Context(), tt.limit, match, s.settle)
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
	q := queue(t)
	add(t, q, release("a"), release("b"), release("c"))
	s := settler{fails: "a c"}
	done, err := q.Settle(t.Context(), 9, nil, s.settle)
	if done != 1 || err == nil {
		t.Fatalf("Settle = %d, %v", done, err)
	}
	check(t, "error", err.Error(), `settle release of a in network net, queued at 2026-08-01T12:00:01Z: no route to host
settle release of c in network net, queued at 2026-08-01T12:00:03Z: no route to host`)
}

// TestFailingReleasesDoNotStarveOthers: two that never succeed are the oldest, and two are tried at a time.
func TestFailingReleasesDoNotStarveOthers(t *testing.T) {
	q := queue(t)
	add(t, q, release("a"), release("b"), release("c"), release("d"))
	s := settler{fails: "a b"}
	for range 3 {
		if _, err := q.Settle(t.Context(), 2, nil, s.settle); err != nil && !errors.Is(err, errSettle) {
			t.Error(err)
		}
	}
	check(t, "settled", s.String(), "a? b? c d a? b?")
}

func TestSettleStopsWhenContextEnds(t *testing.T) {
	q := queue(t)
	add(t, q, release("a"), release("b"), release("c"))
	ctx, cancel := context.WithCancel(t.Context())
	var s settler
	done, err := q.Settle(ctx, 9, nil, func(ctx context.Context, r Release) error {
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
	q := queue(t)
	add(t, q, release("a"))
	var s settler
	done, err := q.Settle(t.Context(), 9, nil, func(ctx context.Context, r Release) error {
		if n, err := q.Settle(ctx, 9, nil, s.settle); n != 0 || err != nil {
			t.Errorf("second at once: %d, %v; want 0 and no error", n, err)
		}
		return s.settle(ctx, r)
	})
	if done != 1 || err != nil || s.String() != "a" {
		t.Errorf("Settle = %d, %v of %s", done, err, &s)
	}
}

// TestReleaseAddedWhilePredecessorIsSettledStays: it may be about an address that was taken after the settler
// looked.
func TestReleaseAddedWhilePredecessorIsSettledStays(t *testing.T) {
	for name, settle := range map[string]func(Queue, func(context.Context, Release) error) error{
		"all": func(q Queue, f func(context.Context, Release) error) error {
			_, err := q.Settle(context.Background(), 9, nil, f)
			return err
		},
		"one": func(q Queue, f func(context.Context, Release) error) error {
			return q.SettleOne(context.Background(), release("a").Key(), f)
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := queue(t)
			add(t, q, release("a"))
			newer := release("a")
			newer.Queued = noon
			if err := settle(q, func(context.Context, Release) error { return q.Add(newer) }); err != nil {
				t.Error(err)
			}
			check(t, "left", dump(t, q), `-rw------- net@a@eth0.json {"version":1,"network":"net","containerID":"a","ifName":"eth0","queued":"2026-08-01T12:00:00Z"}
`)
		})
	}
}

func TestBrokenFileIsRenamedOnceAndBlocksNoOthers(t *testing.T) {
	for name, data := range map[string]string{
		"empty": "", "cut off": `{"network":"net","contai`, "other type": `[]`, "no container": `{"network":"net"}`, "no network": `{"containerID":"b"}`,
	} {
		t.Run(name, func(t *testing.T) {
			q := queue(t)
			add(t, q, release("a"), release("b"), release("c"))
			put(t, q, "net@b@eth0.json", data)
			var s settler
			done, err := q.Settle(t.Context(), 2, nil, s.settle)
			if done != 2 || err == nil || !strings.Contains(err.Error(), q.path("net@b@eth0.json")) || !strings.Contains(err.Error(), q.path("net@b@eth0.json.broken")) {
				t.Errorf("Settle = %d, %v; want 2 and an error that names the file, and where it is now", done, err)
			}
			check(t, "settled", s.String(), "a c")
			check(t, "left", names(t, q), "net@b@eth0.json.broken")
			checkLen(t, q, 0)
			if done, err := q.Settle(t.Context(), 2, nil, s.settle); done != 0 || err != nil {
				t.Errorf("again: %d, %v", done, err)
			}
		})
	}
}

func TestBrokenFileOfAttachmentIsReportedOnce(t *testing.T) {
	q := queue(t)
	add(t, q, release("b"))
	put(t, q, "net@b@eth0.json", "?")
	var s settler
	if err := q.SettleOne(t.Context(), release("b").Key(), s.settle); err == nil || !strings.Contains(err.Error(), ".broken") {
		t.Errorf("SettleOne = %v, want an error that names the file", err)
	}
	if err := q.SettleOne(t.Context(), release("b").Key(), s.settle); err != nil {
		t.Errorf("again: %v", err)
	}
	check(t, "left", names(t, q), "net@b@eth0.json.broken")
	add(t, q, release("b"))
	checkLen(t, q, 1)
}

func TestSettleOneSettlesOnlyItsRelease(t *testing.T) {
	q := queue(t)
	add(t, q, release("a"), release("b"))
	s := settler{}
	if err := q.SettleOne(t.Context(), release("b").Key(), s.settle); err != nil {
		t.Error(err)
	}
	check(t, "settled", s.String(), "b")
	check(t, "left", names(t, q), "net@a@eth0.json")
	s.fails = "a"
	if err := q.SettleOne(t.Context(), release("a").Key(), s.settle); !errors.Is(err, errSettle) {
		t.Errorf("SettleOne = %v", err)
	}
	check(t, "left", names(t, q), "net@a@eth0.json")
}

func TestSettleEmptyQueueWritesNothing(t *testing.T) {
	q := queue(t)
	var s settler
	settle := func() {
		t.Helper()
		if n, err := q.Settle(t.Context(), 9, nil, s.settle); n != 0 || err != nil {
			t.Errorf("Settle = %d, %v", n, err)
		}
		if err := q.SettleOne(t.Context(), release("a").Key(), s.settle); err != nil {
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
	unlock, err := hostlock.Try(q.path(settleLock))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	settle()
	check(t, "settled", s.String(), "")
}

func TestSettleOneWaitsForRunningSettle(t *testing.T) {
	q := queue(t)
	add(t, q, release("a"))
	var s settler
	one := make(chan error, 1)
	_, err := q.Settle(t.Context(), 9, nil, func(ctx context.Context, r Release) error {
		ended, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		if err := q.SettleOne(ended, r.Key(), s.settle); !errors.Is(err, hostlock.ErrBusy) {
			t.Errorf("while another has it: %v, want ErrBusy", err)
		}
		go func() { one <- q.SettleOne(context.WithoutCancel(ctx), r.Key(), s.settle) }()
		return s.settle(ctx, r)
	})
	if err := errors.Join(err, <-one); err != nil {
		t.Error(err)
	}
	check(t, "settled", s.String(), "a")
}

func TestSettleRemovesTemporaryFiles(t *testing.T) {
	q := queue(t)
	add(t, q, release("a"))
	put(t, q, ".net@a@eth0.json.123.atomicfile", "{")
	var s settler
	if done, err := q.Settle(t.Context(), 9, nil, s.settle); done != 1 || err != nil {
		t.Errorf("Settle = %d, %v", done, err)
	}
	check(t, "left", names(t, q), "")
}

func TestSettleContainerSettlesAllInterfaces(t *testing.T) {
	q := queue(t)
	long := strings.Repeat("x", 255)
	other := release("a")
	other.IfName = "net1"
	elsewhere := release("a")
	elsewhere.Network = "other"
	hidden := Release{Network: "net", ContainerID: "a", IfName: long}
	add(t, q, release("a"), other, elsewhere, hidden, release("ab"), Release{Network: long, ContainerID: "a", IfName: "eth0"})
	var s settler
	if err := q.SettleContainer(t.Context(), "net", "a", s.settle); err != nil {
		t.Error(err)
	}
	check(t, "settled", s.String(), "a a a")
	checkLen(t, q, 3)
	s = settler{fails: "ab"}
	if err := q.SettleContainer(t.Context(), "net", "ab", s.settle); !errors.Is(err, errSettle) {
		t.Errorf("SettleContainer = %v", err)
	}
	put(t, q, "net@c@eth0.json", "?")
	if err := q.SettleContainer(t.Context(), "net", "a", s.settle); err != nil {
		t.Errorf("with a damaged file of another container: %v", err)
	}
	if err := q.SettleContainer(t.Context(), "net", "c", s.settle); err == nil {
		t.Error("no error for a damaged file of the container")
	}
}
