// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// unmarked are directories without sources of this project, and those whose files end up in generated manifests.
var unmarked = map[string]bool{".git": true, "bin": true, "dist": true, "testdata": true, "rbac": true}

// TestSourcesNameLicense searches the first lines of Go files, scripts, Makefile, Dockerfile and chart templates.
func TestSourcesNameLicense(t *testing.T) {
	found := map[string]int{}
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && unmarked[d.Name()]:
			return fs.SkipDir
		case d.IsDir() || !isSource(path):
			return nil
		}
		found[filepath.Ext(path)]++
		if head := strings.SplitN(read(t, path), "\n", 4); !strings.Contains(strings.Join(head[:min(len(head), 3)], "\n"),
			"SPDX-License-Identifier: Apache-2.0") {
			t.Errorf("%s: the first lines have no SPDX-License-Identifier", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for ext, least := range map[string]int{".go": 800, ".sh": 6, ".yaml": 5, ".tpl": 1, "": 2} {
		if found[ext] < least {
			t.Errorf("only %d files with the extension %q found, want %d", found[ext], ext, least)
		}
	}
}

func isSource(path string) bool {
	switch filepath.Ext(path) {
	case ".go", ".sh":
		return true
	case ".yaml", ".tpl":
		return filepath.Base(filepath.Dir(path)) == "templates"
	}
	name := filepath.Base(path)
	return name == "Makefile" || name == "Dockerfile"
}
