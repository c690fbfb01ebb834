// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var testKey = Key{"net", "c", "eth0"}

// clocked returns records with a clock that the test sets.
func clocked(t *testing.T) (records Deletions, clock *time.Duration) {
	t.Helper()
	clock = new(time.Duration)
	*clock = time.Hour
	return Deletions{
		Dir:  filepath.Join(t.TempDir(), "run", "deleted"),
		Boot: func() time.Duration { return *clock },
	}, clock
}

func open(t *testing.T, records Deletions, k Key, plugin Plugin, scope string) *DeletionRecord {
	t.Helper()
	r, err := records.Open(k, plugin, scope)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func complete(t *testing.T, r *DeletionRecord) {
	t.Helper()
	if err := r.SetComplete(); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, records Deletions) {
	t.Helper()
	if err := records.Remove(testKey); err != nil {
		t.Fatal(err)
	}
}

func TestRecordIsCompleteOnlyForTheSameDeletion(t *testing.T) {
	for _, c := range []struct {
		name   string
		k      Key
		plugin Plugin
		scope  string
		after  time.Duration
		want   bool
	}{
		{"the same", testKey, Main, "a", time.Second, true},
		{"at once", testKey, Main, "a", 0, true},
		{"just in time", testKey, Main, "a", maxAge - 1, true},
		{"too late", testKey, Main, "a", maxAge, false},
		{"after a reboot that kept the directory", testKey, Main, "a", -time.Second, false},
		{"another cluster", testKey, Main, "b", time.Second, false},
		{"another plugin", testKey, IPAM, "a", time.Second, false},
		{"another network", Key{"other", "c", "eth0"}, Main, "a", time.Second, false},
		{"another container", Key{"net", "d", "eth0"}, Main, "a", time.Second, false},
		{"another interface", Key{"net", "c", "net1"}, Main, "a", time.Second, false},
	} {
		records, clock := clocked(t)
		first := open(t, records, testKey, Main, "a")
		if first.Complete() {
			t.Errorf("%s: the first deletion finds a complete record", c.name)
		}
		complete(t, first)
		*clock += c.after
		if got := open(t, records, c.k, c.plugin, c.scope).Complete(); got != c.want {
			t.Errorf("%s: complete %t, want %t", c.name, got, c.want)
		}
	}
}

func TestRecordThatIsNotCompletedDoesNotCount(t *testing.T) {
	records, _ := clocked(t)
	open(t, records, testKey, Main, "a").Close()
	if open(t, records, testKey, Main, "a").Complete() {
		t.Error("complete")
	}
}

// TestAddInvalidatesRecordsOfRunningDels begins an ADD at each step of a DEL.
func TestAddInvalidatesRecordsOfRunningDels(t *testing.T) {
	for _, plugin := range []Plugin{Main, IPAM} {
		for _, addBegins := range []string{"before the DEL", "after Open", "after SetComplete"} {
			records, _ := clocked(t)
			if addBegins == "before the DEL" {
				remove(t, records)
			}
			r := open(t, records, testKey, plugin, "a")
			if !r.Current() {
				t.Errorf("%s: not current after Open", addBegins)
			}
			if addBegins == "after Open" {
				remove(t, records)
			}
			complete(t, r)
			if addBegins == "after SetComplete" {
				remove(t, records)
			}
			before := addBegins == "before the DEL"
			if r.Current() != before {
				t.Errorf("ADD begins %s: current %t, want %t", addBegins, r.Current(), before)
			}
			if got := open(t, records, testKey, plugin, "a").Complete(); got != before {
				t.Errorf("ADD begins %s: complete %t, want %t", addBegins, got, before)
			}
		}
	}
}

// TestOtherDeletionDoesNotRestoreRemovedRecord runs an ADD and another DEL while a DEL is still running.
func TestOtherDeletionDoesNotRestoreRemovedRecord(t *testing.T) {
	records, _ := clocked(t)
	old := open(t, records, testKey, Main, "a")
	remove(t, records)
	later := open(t, records, testKey, Main, "a")
	complete(t, old)
	if old.Current() || !later.Current() {
		t.Errorf("current: old %t, later %t", old.Current(), later.Current())
	}
	if open(t, records, testKey, Main, "a").Complete() {
		t.Error("the old DEL has completed the record of the later one")
	}
}

func TestDamagedRecordsAndOtherVersionsDoNotCount(t *testing.T) {
	records, _ := clocked(t)
	complete(t, open(t, records, testKey, Main, "a"))
	path := testKey.path(records.Dir, Main)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		"empty": "", "another version": "2" + string(data[1:]),
		"another phase": strings.Replace(string(data), "complete", "finished", 1),
	}
	for cut := range data {
		cases[fmt.Sprintf("cut at %d", cut)] = string(data[:cut])
	}
	for name, text := range cases {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if open(t, records, testKey, Main, "a").Complete() {
			t.Errorf("%s: complete", name)
		}
	}
}

func TestSweepRemovesOldRecordsAndBoundsTheirNumber(t *testing.T) {
	records, clock := clocked(t)
	count := func() int {
		entries, err := os.ReadDir(records.Dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries) - 1 // without the stamp
	}
	at := func(i int) Key { return Key{"net", fmt.Sprint("c", i), "eth0"} }
	for i := range 10 {
		r := open(t, records, at(i), Main, "a")
		if i%2 == 0 {
			complete(t, r)
		}
	}
	*clock += 2 * maxAge
	open(t, records, at(10), Main, "a")
	if got := count(); got != 1 {
		t.Errorf("%d records after they have expired, want 1", got)
	}
	for i := range maxRecords {
		r, err := records.Open(at(i), Main, "a")
		if err != nil {
			t.Fatal(err)
		}
		complete(t, r)
		r.Close()
	}
	running := open(t, records, at(maxRecords+1), Main, "a")
	*clock += sweepInterval
	open(t, records, at(maxRecords+2), Main, "a")
	if got := count(); got > 3 {
		t.Errorf("%d records after there were more than %d", got, maxRecords)
	}
	if !running.Current() {
		t.Error("the record of a running DEL is gone")
	}
}

func TestFileInPlaceOfDirectoryHasNoRecords(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"file":      func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"FIFO":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"link loop": func(path string) error { return os.Symlink(path, path) },
	} {
		t.Run(name, func(t *testing.T) {
			records, _ := clocked(t)
			if err := put(filepath.Dir(records.Dir)); err != nil {
				t.Fatal(err)
			}
			if records.Has(testKey) {
				t.Error("Has = true")
			}
			if err := records.Remove(testKey); err != nil {
				t.Errorf("Remove: %v", err)
			}
			if _, err := records.Open(testKey, Main, ""); !errors.Is(err, syscall.ENOTDIR) {
				t.Errorf("Open: %v, want ENOTDIR", err)
			}
		})
	}
}

func TestNilRecordIsNeverComplete(t *testing.T) {
	var r *DeletionRecord
	defer r.Close()
	if r.Complete() || !r.Current() || r.SetComplete() != nil {
		t.Error("the nil record counts")
	}
}

// TestSweepKeepsRecordOfRunningDel repeats a DEL after its record has expired, while another DEL sweeps.
func TestSweepKeepsRecordOfRunningDel(t *testing.T) {
	records, clock := clocked(t)
	complete(t, open(t, records, testKey, Main, "a"))
	*clock += maxAge
	running := open(t, records, testKey, Main, "a") // the repeated DEL, 10 min later, in an outage
	other := Key{"net", "other", "eth0"}
	open(t, records, other, Main, "a") // another container's DEL sweeps
	if !running.Current() {
		t.Error("the record was removed: the DEL would not queue its release")
	}
}
