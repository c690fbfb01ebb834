// SPDX-License-Identifier: Apache-2.0

package nodestate_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/internal/nodestate"
)

var noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

func store(t *testing.T, dir nodestate.Conditions, network string, r nodestate.Condition) {
	t.Helper()
	if err := dir.Store(network, r); err != nil {
		t.Fatal(err)
	}
}

func TestConditionRoundTrip(t *testing.T) {
	dir := nodestate.Conditions(filepath.Join(t.TempDir(), "run", "trouble"))
	if _, ok := dir.Load("net"); ok {
		t.Error("a condition before Store")
	}
	want := nodestate.Condition{
		Version:   1,
		Kind:      nodestate.ConditionAddresses,
		Reason:    "full",
		Since:     noon,
		Confirmed: time.Hour,
	}
	store(t, dir, "net", want)
	got, ok := dir.Load("net")
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("loaded %t (-want +got):\n%s", ok, diff)
	}
	dir.Clear("net")
	if _, ok := dir.Load("net"); ok {
		t.Error("a condition after Clear")
	}
}

func TestConditionsOfOtherVersionsAreIgnored(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       bool
	}{
		{"version 1", `{"version":1,"kind":"api","reason":"x","refused":true}`, true},
		{"no version", `{"kind":"api","reason":"x","refused":true}`, false},
		{"version 2", `{"version":2,"kind":"api","reason":"x","refused":true}`, false},
		{"torn", `{"version":1,"kind":"a`, false},
	} {
		dir := nodestate.Conditions(t.TempDir())
		if err := os.WriteFile(filepath.Join(string(dir), "net.json"), []byte(c.data), 0o600); err != nil {
			t.Fatal(err)
		}
		got, ok := dir.Load("net")
		want := nodestate.Condition{Version: 1, Kind: nodestate.ConditionAPI, Reason: "x", Refused: true}
		if ok != c.want || ok && got != want {
			t.Errorf("%s: loaded %t, %+v; want %t", c.name, ok, got, c.want)
		}
		if refused := dir.Refusals() != ""; refused != c.want {
			t.Errorf("%s: refused %t, want %t", c.name, refused, c.want)
		}
	}
}

// TestRefusalsChangeWithEachCondition sets the modification times back and forth.
func TestRefusalsChangeWithEachCondition(t *testing.T) {
	dir := nodestate.Conditions(filepath.Join(t.TempDir(), "trouble"))
	seen := map[string]bool{"": true}
	if got := dir.Refusals(); got != "" {
		t.Errorf("refusals without a condition: %q", got)
	}
	store(t, dir, "net", nodestate.Condition{Kind: nodestate.ConditionAPI, Reason: "connection refused"})
	if got := dir.Refusals(); got != "" {
		t.Errorf("an outage counts as a refusal: %q", got)
	}
	for _, at := range []time.Time{noon, noon.Add(-time.Hour), noon.Add(time.Hour)} {
		store(t, dir, "net", nodestate.Condition{Kind: nodestate.ConditionAPI, Reason: at.String(), Refused: true})
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
		t.Errorf("after Clear: %q", got)
	}
}
