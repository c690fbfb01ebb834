// SPDX-License-Identifier: Apache-2.0

package trouble_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/internal/trouble"
)

var noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

func store(t *testing.T, dir trouble.Dir, network string, r trouble.Report) {
	t.Helper()
	if err := dir.Store(network, r); err != nil {
		t.Fatal(err)
	}
}

func TestReportRoundTrip(t *testing.T) {
	dir := trouble.Dir(filepath.Join(t.TempDir(), "run", "trouble"))
	if _, ok := dir.Load("net"); ok {
		t.Error("a report before any was stored")
	}
	want := trouble.Report{Version: 1, Kind: trouble.Addresses, Reason: "full", Since: noon, Confirmed: time.Hour}
	store(t, dir, "net", want)
	got, ok := dir.Load("net")
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("loaded %t (-want +got):\n%s", ok, diff)
	}
	dir.Clear("net")
	if _, ok := dir.Load("net"); ok {
		t.Error("a report after it was cleared")
	}
}

func TestReportsOfOtherVersions(t *testing.T) {
	before, err := os.ReadFile(filepath.Join("testdata", "version-0.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, data string
		want       bool
	}{
		{"version 0", string(before), true},
		{"version 2", `{"version":2,"kind":"api","reason":"x","refused":true}`, false},
		{"torn", `{"version":1,"kind":"a`, false},
	} {
		dir := trouble.Dir(t.TempDir())
		if err := os.WriteFile(filepath.Join(string(dir), "net.json"), []byte(c.data), 0o600); err != nil {
			t.Fatal(err)
		}
		got, ok := dir.Load("net")
		want := trouble.Report{Kind: trouble.API, Reason: "API server unavailable", Since: noon, Refused: true}
		if ok != c.want || ok && got != want {
			t.Errorf("%s: loaded %t, %+v; want %t", c.name, ok, got, c.want)
		}
		if refused := dir.Refusals() != ""; refused != c.want {
			t.Errorf("%s: refused %t, want %t", c.name, refused, c.want)
		}
	}
}

// TestRefusalsChangeWithEachReport sets the clock of the files back and forth.
func TestRefusalsChangeWithEachReport(t *testing.T) {
	dir := trouble.Dir(filepath.Join(t.TempDir(), "trouble"))
	seen := map[string]bool{"": true}
	if got := dir.Refusals(); got != "" {
		t.Errorf("refusals of nothing: %q", got)
	}
	store(t, dir, "net", trouble.Report{Kind: trouble.API, Reason: "connection refused"})
	if got := dir.Refusals(); got != "" {
		t.Errorf("an outage counts as a refusal: %q", got)
	}
	for _, at := range []time.Time{noon, noon.Add(-time.Hour), noon.Add(time.Hour)} {
		store(t, dir, "net", trouble.Report{Kind: trouble.API, Reason: at.String(), Refused: true})
		if err := os.Chtimes(filepath.Join(string(dir), "net.json"), at, at); err != nil {
			t.Fatal(err)
		}
		got := dir.Refusals()
		if seen[got] || got != dir.Refusals() {
			t.Errorf("refusal at %v: %q, seen before: %t", at, got, seen[got])
		}
		seen[got] = true
	}
	dir.Clear("net")
	if got := dir.Refusals(); got != "" {
		t.Errorf("after it was cleared: %q", got)
	}
}
