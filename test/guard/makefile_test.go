// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestMakefileNamesExistingTests checks the patterns after -run and in SMOKE, because `go test` passes if a pattern
// matches no test.
func TestMakefileNamesExistingTests(t *testing.T) {
	root := filepath.Join("..", "..")
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	pattern := regexp.MustCompile(`(?m)-run '?([A-Za-z|]+)'?|^SMOKE = (.*)$`)
	for _, m := range pattern.FindAllStringSubmatch(string(makefile), -1) {
		patterns = append(patterns, strings.Split(m[1]+m[2], "|")...)
	}
	if len(patterns) < 5 {
		t.Fatalf("only these patterns found in the Makefile: %q", patterns)
	}
	names := testNames(t, root)
	for _, p := range patterns {
		if !strings.Contains(names, p) {
			t.Errorf("the Makefile runs %q, but no test has this name", p)
		}
	}
}

// testNames returns the names of all tests, one per line.
func testNames(t *testing.T, root string) string {
	t.Helper()
	test := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	var names strings.Builder
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range test.FindAllStringSubmatch(string(source), -1) {
			names.WriteString(m[1] + "\n")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names.String()
}
