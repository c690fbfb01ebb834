// SPDX-License-Identifier: Apache-2.0

package linediff

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestUnified(t *testing.T) {
	for _, tt := range []struct{ name, before, after, want string }{
		{"equal", "a\n", "a\n", ""},
		{"new", "", "a\nb\n", "--- old\n+++ new\n@@ -0,0 +1,2 @@\n+a\n+b\n"},
		{"gone", "a\n", "", "--- old\n+++ new\n@@ -1 +0,0 @@\n-a\n"},
		{
			"changed in the middle", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n",
			"--- old\n+++ new\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n",
		},
		{
			"far apart", "a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
			"--- old\n+++ new\n@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n",
		},
		{"last newline", "a\nb", "a\nb\n", "--- old\n+++ new\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Unified("old", "new", tt.before, tt.after)); diff != "" {
				t.Errorf("Unified (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEditScriptContainsBothTexts reads both texts from the edit script.
func TestEditScriptContainsBothTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([abc]{0,2}\n){0,12}[ab]?`)
		before, after := text.Draw(t, "before"), text.Draw(t, "after")
		var a, b strings.Builder
		for _, o := range compare(lines(before), lines(after)) {
			if o.sign != '+' {
				a.WriteString(o.line)
			}
			if o.sign != '-' {
				b.WriteString(o.line)
			}
		}
		if a.String() != before || b.String() != after {
			t.Fatalf("%q and %q read as %q and %q", before, after, a.String(), b.String())
		}
	})
}

func TestPatchAppliesDiff(t *testing.T) {
	patch, err := exec.LookPath("patch")
	if err != nil {
		t.Fatalf("%v: install it with make system", err)
	}
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([abcd]{1,2}\n){0,25}[ab]?`)
		before, after := text.Draw(t, "before"), text.Draw(t, "after")
		if before == after || after == "" {
			return
		}
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(patch, "-s", "--posix", path)
		cmd.Stdin = strings.NewReader(Unified("f", "f", before, after))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("patch: %v: %s", err, out)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != after {
			t.Fatalf("patched to %q, %v; want %q", got, err, after)
		}
	})
}
