package guard

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestMakefileRunsTestsThatExist checks the patterns after -run and in SMOKE: `go test` passes when a pattern matches no test.
func TestMakefileRunsTestsThatExist(t *testing.T) {
	root := filepath.Join("..", "..")
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	for _, m := range regexp.MustCompile(`(?m)-run '?([A-Za-z|]+)'?|^SMOKE = (.*)$`).FindAllStringSubmatch(string(makefile), -1) {
		patterns = append(patterns, strings.Split(m[1]+m[2], "|")...)
	}
	if len(patterns) < 5 {
		t.Fatalf("found these patterns only: %q", patterns)
	}
	names := testNames(t, root)
	for _, p := range patterns {
		if !strings.Contains(names, p) {
			t.Errorf("the Makefile runs %q, and no test has that name", p)
		}
	}
}

// testNames returns the lines of all test files that begin a test.
func testNames(t *testing.T, root string) string {
	t.Helper()
	begin := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	var names strings.Builder
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range begin.FindAllStringSubmatch(string(source), -1) {
			names.WriteString(m[1] + "\n")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names.String()
}
