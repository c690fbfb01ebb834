// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"calico-cni/internal/disktest"
	"calico-cni/internal/nodestate"
)

var noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// newQueue returns an empty queue, whose clock advances by a second with each use.
func newQueue(t *testing.T) Queue {
	t.Helper()
	now := noon
	return Queue{Dir: filepath.Join(t.TempDir(), "calico", "releases"), Now: func() time.Time {
		now = now.Add(time.Second)
		return now
	}}
}

func settlerOf(q Queue) Settler { return Settler{Queue: q} }

func releaseOf(containerID string) Release {
	return Release{Network: "net", ContainerID: containerID, IfName: "eth0", Others: NoOthers}
}

func add(t *testing.T, q Queue, releases ...Release) {
	t.Helper()
	for _, r := range releases {
		if err := q.Add(r); err != nil {
			t.Fatal(err)
		}
	}
}

// dump lists the directory of the queue without its locks: one line for each file, with mode and content.
func dump(t *testing.T, q Queue) string {
	t.Helper()
	entries, err := os.ReadDir(q.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".lock") {
			continue
		}
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(q.files().path(e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %s %s\n", info.Mode(), e.Name(), data)
	}
	return out.String()
}

// names lists the files in the directory of the queue without its locks.
func names(t *testing.T, q Queue) string {
	t.Helper()
	var out []string
	for line := range strings.Lines(dump(t, q)) {
		out = append(out, strings.Fields(line)[1])
	}
	return strings.Join(out, " ")
}

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// recorder records which releases it is called with, and fails for some of them.
type recorder struct {
	fails   string
	settled []string
}

var errSettle = errors.New("no route to host")

func (s *recorder) settle(_ context.Context, r Release) error {
	if strings.Contains(" "+s.fails+" ", " "+r.ContainerID+" ") {
		s.settled = append(s.settled, r.ContainerID+"?")
		return errSettle
	}
	s.settled = append(s.settled, r.ContainerID)
	return nil
}

func (s *recorder) String() string { return strings.Join(s.settled, " ") }

func checkLen(t *testing.T, q Queue, want int) {
	t.Helper()
	if n, err := q.Len(); n != want || err != nil {
		t.Errorf("Len = %d, %v; want %d", n, err, want)
	}
}

func TestReleaseFileIsReadableByOwnerOnly(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	q := newQueue(t)
	checkLen(t, q, 0)
	full := Release{
		Network: "k8s-pod-network", ContainerID: "c1", IfName: "eth0", Namespace: "shop", Pod: "cart-0", PodUID: "u-1",
		Kubeconfig: "/etc/cni/net.d/calico-kubeconfig", Queued: noon, Others: OthersUnknown, OtherNetworks: true,
		Released: []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fd00::3")},
	}
	add(t, q, full, releaseOf("c2"))
	check(
		t,
		"directory",
		dump(t, q),
		`-rw------- k8s-pod-network@c1@eth0.json {"version":1,"network":"k8s-pod-network","containerID":"c1","ifName":"eth0",`+
			`"namespace":"shop","pod":"cart-0","podUID":"u-1","kubeconfig":"/etc/cni/net.d/calico-kubeconfig","queued":"2026-08-01T12:00:00Z","others":"unknown","otherNetworks":true,"released":["10.1.2.3","fd00::3"]}
-rw------- net@c2@eth0.json {"version":1,"network":"net","containerID":"c2","ifName":"eth0","queued":"2026-08-01T12:00:01Z","others":"none"}
`,
	)
	for path, want := range map[string]fs.FileMode{q.Dir: 0o700, filepath.Dir(q.Dir): 0o755} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info, err, want)
		}
	}
	checkLen(t, q, 2)
	var back Release
	if err := settlerOf(q).SettleOne(t.Context(), full.Key(), func(_ context.Context, r Release) error {
		back = r
		return nil
	}); err != nil {
		t.Error(err)
	}
	full.Version = version
	if diff := cmp.Diff(full, back, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("settled (-added +got):\n%s", diff)
	}
	checkLen(t, q, 1)
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	q := newQueue(t)
	add(t, q, releaseOf("c"))
	put(
		t,
		q,
		fileName(releaseOf("c").Key()),
		`{"version":1,"network":"net","containerID":"c","ifName":"eth0","queued":"2026-08-01T12:00:00Z","reason":"new"}`,
	)
	var s recorder
	if done, err := settlerOf(q).Settle(t.Context(), 9, nil, s.settle); done != 1 || err != nil || s.String() != "c" {
		t.Errorf("Settle = %d, %v of %s", done, err, &s)
	}
}

// put writes a file that is older than every release.
func put(t *testing.T, q Queue, name, data string) {
	t.Helper()
	if err := os.WriteFile(q.files().path(name), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(q.files().path(name), noon, noon); err != nil {
		t.Fatal(err)
	}
}

func TestLaterReleaseReplacesEarlier(t *testing.T) {
	q := newQueue(t)
	again := releaseOf("c")
	again.Kubeconfig = "/new"
	add(t, q, releaseOf("c"), releaseOf("c"), again, again)
	check(
		t,
		"directory",
		dump(t, q),
		`-rw------- net@c@eth0.json {"version":1,"network":"net","containerID":"c","ifName":"eth0","kubeconfig":"/new","queued":"2026-08-01T12:00:04Z","others":"none"}
`,
	)
	same := again
	same.Queued = noon
	add(t, q, same, same)
	checkLen(t, q, 1)
}

// TestReplacementKeepsReleasedAddresses repeats a DEL in an outage. It has nothing left to release.
func TestReplacementKeepsReleasedAddresses(t *testing.T) {
	q, first, second := newQueue(t), releaseOf("c"), releaseOf("c")
	first.Released = []netip.Addr{netip.MustParseAddr("10.1.2.3")}
	second.Released = []netip.Addr{netip.MustParseAddr("fd00::3"), netip.MustParseAddr("10.1.2.3")}
	add(t, q, first, releaseOf("c"), second, releaseOf("c"))
	check(
		t,
		"directory",
		dump(t, q),
		`-rw------- net@c@eth0.json {"version":1,"network":"net","containerID":"c","ifName":"eth0",`+
			`"queued":"2026-08-01T12:00:04Z","others":"none","released":["10.1.2.3","fd00::3"]}
`,
	)
}

func TestFullQueueRejectsReleaseWithRemedy(t *testing.T) {
	q := newQueue(t)
	q.Limit = 2
	add(t, q, releaseOf("a"), releaseOf("b"))
	before := dump(t, q)
	err := q.Add(releaseOf("c"))
	if !errors.Is(err, ErrFull) {
		t.Fatalf("third of two: %v, want ErrFull", err)
	}
	check(t, "message", err.Error(), "queue of releases is full: 2 wait in "+q.Dir+
		"; the node has to reach the API server: check that it runs, and that the kubeconfig is valid")
	check(t, "directory", dump(t, q), before)
	add(t, q, releaseOf("b"))
	var s recorder
	if _, err := settlerOf(q).Settle(t.Context(), 1, nil, s.settle); err != nil {
		t.Error(err)
	}
	add(t, q, releaseOf("c"))
	checkLen(t, q, 2)
}

func TestDefaultLimitIs4096(t *testing.T) {
	q := newQueue(t)
	q.Dir = filepath.Join(disktest.Small(t, "64m"), "releases")
	add(t, q, releaseOf("first"))
	for i := range 4095 {
		put(t, q, fmt.Sprint(i, suffix), "{}")
	}
	checkLen(t, q, 4096)
	if err := q.Add(releaseOf("c")); !errors.Is(err, ErrFull) {
		t.Errorf("4097th: %v, want ErrFull", err)
	}
	if err := os.Remove(q.files().path("0" + suffix)); err != nil {
		t.Fatal(err)
	}
	add(t, q, releaseOf("c"))
}

func keyOf(network, containerID, ifName string) nodestate.Key {
	return nodestate.Key{Network: network, ContainerID: containerID, IfName: ifName}
}

func TestFileNamesAreSafeAndUnique(t *testing.T) {
	long := strings.Repeat("x", 255)
	for _, tt := range []struct {
		key  nodestate.Key
		want string
	}{
		{keyOf("net", "c", "eth0"), "net@c@eth0.json"},
		{keyOf("a.b", "c", "eth0"), "a.b@c@eth0.json"},
		{keyOf("a", "b.c", "eth0"), "a@b.c@eth0.json"},
		{keyOf(long, long, "eth0"), "sha256@"},
		{keyOf("net", long, "eth0"), "sha256@"},
		{keyOf("../../etc", "c", "eth0"), "sha256@"},
		{keyOf(".hidden", "c", "eth0"), "sha256@"},
		{keyOf("net", "a@b", "eth0"), "sha256@"},
		{keyOf("net", "c", "b\xff\n"), "sha256@"},
		{keyOf("net", "c", ""), "sha256@"},
	} {
		if got := fileName(tt.key); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%q is in %s, want %s", tt.key, got, tt.want)
		}
	}
	q := newQueue(t)
	add(
		t,
		q,
		Release{Network: long, ContainerID: long, IfName: "eth0"},
		Release{Network: "a/../..", ContainerID: "c", IfName: "x@y"},
	)
	checkLen(t, q, 2)

	part := rapid.OneOf(rapid.StringMatching(`[@. "\\/a\x00]{0,3}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		a := keyOf(part.Draw(t, "network"), part.Draw(t, "container"), part.Draw(t, "interface"))
		b := keyOf(part.Draw(t, "network"), part.Draw(t, "container"), part.Draw(t, "interface"))
		if (a == b) != (fileName(a) == fileName(b)) {
			t.Fatalf("%q and %q are in %s and %s", a, b, fileName(a), fileName(b))
		}
		name := fileName(a)
		if filepath.Base(name) != name || name[0] == '.' || len(name) > 220 ||
			strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q is in %q", a, name)
		}
	})
}

func TestAddOnFullDiskFailsAndLeavesNoFile(t *testing.T) {
	q := newQueue(t)
	q.Dir = filepath.Join(disktest.Small(t, "64k"), "releases")
	add(t, q, releaseOf("a"))
	put(t, q, "ballast", strings.Repeat("x", 4096))
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = q.Add(releaseOf(fmt.Sprint("c", i)))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Add = %v, want ENOSPC", err)
	}
	before, _ := q.Len()
	if strings.Contains(names(t, q), "atomicfile") {
		t.Errorf("temporary in %s", names(t, q))
	}
	if err := os.Remove(q.files().path("ballast")); err != nil {
		t.Fatal(err)
	}
	var s recorder
	if done, err := settlerOf(q).Settle(t.Context(), 100, nil, s.settle); done != before || err != nil {
		t.Errorf("Settle = %d, %v; want %d", done, err, before)
	}
}

func TestQueueOnFileFails(t *testing.T) {
	q := newQueue(t)
	q.Dir = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(q.Dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, errLen := q.Len()
	_, errSettle := settlerOf(q).Settle(t.Context(), 1, nil, (&recorder{}).settle)
	for what, err := range map[string]error{
		"Add": q.Add(releaseOf("c")), "Len": errLen, "Settle": errSettle,
		"SettleOne": settlerOf(q).SettleOne(t.Context(), releaseOf("c").Key(), (&recorder{}).settle),
	} {
		if err == nil || !strings.Contains(err.Error(), q.Dir) {
			t.Errorf("%s = %v, want an error that names %s", what, err, q.Dir)
		}
	}
}

func TestUnrelatedFilesAreNotQueued(t *testing.T) {
	q := newQueue(t)
	add(t, q, releaseOf("c"))
	for _, name := range []string{"README", "net@c@eth0.json.broken", ".net@c@eth0.json.123.atomicfile", ".x.json"} {
		put(t, q, name, "?")
	}
	if err := os.Mkdir(q.files().path("dir.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	checkLen(t, q, 1)
	got, err := q.files().inOrder()
	if want := []string{"net@c@eth0.json"}; !slices.Equal(got, want) || err != nil {
		t.Errorf("in order: %v, %v; want %v", got, err, want)
	}
}
