// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var allMutants = flag.Bool("mutants", false, "plant every bug, not only a few: one compilation each")

// findsBugs are patterns of tests. One of them has to find the bug: first short tests, then the model checker.
var findsBugs = []string{
	"Crash|LateWrite|FailedAssignmentIsReverted|IsReadBefore|RecreatedBlock|OfOtherSize|IsNotConfirmedAfter|" +
		"Cooldown|ClockThatWasAhead|Adopt|UnconfirmedAffinity|RepeatedRequest|Subnet|Ownerless|RequestedAddress|Usable",
	"Interleaving",
}

// TestModelCheckerCatchesPlantedBugs compiles the package once per mutant, and expects a test to fail.
func TestModelCheckerCatchesPlantedBugs(t *testing.T) {
	if os.Getenv("IPAM_MUTANT") != "" || testing.Short() {
		return
	}
	for _, m := range mutants() {
		if !*allMutants && !m.always {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			overlay := m.plant(t)
			for _, run := range findsBugs {
				if finds(t, overlay, run) {
					return
				}
			}
			t.Error("the bug was not found")
		})
	}
}

// finds runs tests on a mutant, and reports whether one failed.
func finds(t *testing.T, overlay, run string) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-failfast", "-overlay", overlay, "-run", run,
		"-model.runs=5000", "-timeout=60m", ".")
	cmd.Env = append(os.Environ(), "IPAM_MUTANT=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if !strings.Contains(string(out), "--- FAIL") {
		t.Errorf("the tests did not run: %s", out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "--- FAIL") || strings.Contains(line, "    --- FAIL") {
			t.Log(strings.TrimSpace(line))
		}
	}
	return true
}

// TestMutantsApply checks that each mutant still matches the source, without compiling it.
func TestMutantsApply(t *testing.T) {
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) { m.mutate(t) })
	}
}

// mutate returns the file with the bug.
func (m mutant) mutate(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), m.correct); n != 1 {
		t.Fatalf("%s has this %d times, want once:\n%s", m.file, n, m.correct)
	}
	return strings.Replace(string(source), m.correct, m.wrong, 1)
}

// plant writes the mutated file, and an overlay that replaces the correct file by it.
func (m mutant) plant(t *testing.T) (overlay string) {
	t.Helper()
	dir := t.TempDir()
	mutated := filepath.Join(dir, "mutated.go")
	if err := os.WriteFile(mutated, []byte(m.mutate(t)), 0o600); err != nil {
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
