package ipam_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is a bug planted in the source, in a copy that only the compiler sees.
type mutant struct{ file, correct, wrong string }

// TestTheModelCheckerCatchesPlantedBugs compiles the package once for each bug that a protocol like ours is prone to,
// and expects the model checker to find it.
func TestTheModelCheckerCatchesPlantedBugs(t *testing.T) {
	if os.Getenv("IPAM_MUTANT") != "" {
		return
	}
	for name, m := range map[string]mutant{
		"drop compare-and-swap":           {"memstore/memstore.go", "case stored.Rev != row.Rev:", "case stored.Rev != row.Rev && false:"},
		"skip pending":                    {"claim.go", "create(ctx, t, key, Affinity{State: Pending})", "create(ctx, t, key, Affinity{State: Confirmed})"},
		"release without sequence check":  {"block/assign.go", " || b.SequenceAt[o] != h.Sequence {", " {"},
		"count handle last":               {"assign.go", "	if err := s.countUp(ctx, countsOf(places)); err != nil {\n		return nil, err\n	}\n	u.Push(s.withdraw)", "	defer func() { _ = s.countUp(ctx, countsOf(places)) }()\n	u.Push(s.withdraw)"},
		"delete what has changed since":   {"table.go", "ignore(t.Delete(ctx, key, row), ErrNotFound)", "ignore(force(ctx, t, key, row), ErrNotFound)\n}\n\nfunc force[K comparable, T any](ctx context.Context, t Table[K, T], key K, row Row[T]) error {\n	if now, err := t.Get(ctx, key); err == nil {\n		row = now\n	}\n	return t.Delete(ctx, key, row)"},
		"take over a block that is used":  {"takeover.go", "if !ok || !row.Value.Empty() || ", "if !ok || "},
		"withdrawal without a new one":    {"withdraw.go", "mine, s.handle.Value.Counts[cidr], 0)", "mine, 0, 0)"},
		"release without a new revision":  {"release.go", "if len(freed.Addrs) == 0 && kept >= counted {", "if len(freed.Addrs) == 0 {"},
		"lower a count that may be gone":  {"handle.go", "	if len(row.Value.Counts) == 0 {\n		return row, ignore(remove", "	if len(row.Value.Counts) == 0 {\n		if now, err := t.Get(ctx, id); err == nil {\n			row.Rev = now.Rev\n		}\n		return row, ignore(remove"},
		"believe that nothing is held":    {"release.go", "if len(freed.Addrs) == 0 && guess {", "if false && guess {"},
		"believe that a block is full":    {"find.go", "ok = ok && s.room(place{want: w, cidr: row.Key.CIDR, row: known}) == nil", "ok = ok && true"},
		"forget the half that was undone": {"assign.go", "	u.Push(s.withdraw)\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			overlay := m.plant(t)
			cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlay, "-run", "Interleaving|Crash|TakesEffectLate|AFailedAssignment|OnlyBelieved", ".")
			cmd.Env = append(os.Environ(), "IPAM_MUTANT=1")
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Error("the bug was not found")
			}
			if !strings.Contains(string(out), "--- FAIL") {
				t.Errorf("the tests did not run: %s", out)
			}
		})
	}
}

// plant writes the mutated file and an overlay that puts it in the place of the correct one.
func (m mutant) plant(t *testing.T) (overlay string) {
	t.Helper()
	source, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), m.correct) != 1 {
		t.Fatalf("%s does not have this once any more, so that the bug cannot be planted:\n%s", m.file, m.correct)
	}
	dir := t.TempDir()
	mutated := filepath.Join(dir, "mutated.go")
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(source), m.correct, m.wrong, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(map[string]any{"Replace": map[string]string{path: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}
