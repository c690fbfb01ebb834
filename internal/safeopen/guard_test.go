// SPDX-License-Identifier: Apache-2.0

package safeopen

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// unguarded has the calls that may open a file without this package, by file. The paths are in a file system of the
// kernel, where only the kernel creates files, unless the reason says otherwise.
var unguarded = map[string]string{
	"internal/atomicfile/atomicfile.go": "OpenFile", // with the flags of this package
	"internal/nettest/dump.go":          "ReadFile", // for tests
	"pkg/agent/kernel/sysctl/sysctl.go": "ReadFile OpenFile",
	"pkg/install/realhost/link.go":      "Open",
	"pkg/dataplane/linux/exists.go":     "Open",
	"pkg/dataplane/linux/sysctl.go":     "ReadFile OpenFile",
	"pkg/migrate/alive.go":              "Open",
	"pkg/migrate/fence.go":              "OpenFile", // with O_NONBLOCK
}

// TestBinariesOpenFilesWithThisPackage reads the source of the binaries and of the packages that they use: os.Open and
// similar functions block on a FIFO.
func TestBinariesOpenFilesWithThisPackage(t *testing.T) {
	root, files := filepath.Join("..", ".."), 0
	for _, dir := range []string{"cmd", "internal", "pkg"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			name, _ := filepath.Rel(root, path)
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (name == "internal/safeopen" || entry.Name() == "testdata"):
				return fs.SkipDir
			case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			source, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			files++
			for _, call := range opens(source) {
				if !strings.Contains(" "+unguarded[name]+" ", " "+call+" ") {
					t.Errorf("%s: os.%s may block on a FIFO: use internal/safeopen", name, call)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("read %d files only", files)
	}
}

func TestOpensFindsFunctionsThatMayBlock(t *testing.T) {
	for text, want := range map[string]string{
		`f, err := os.Open(path)`:         "Open",
		`read := os.ReadFile; read(path)`: "ReadFile",
		`os.WriteFile(path, nil, 0)`:      "WriteFile",
		`os.ReadDir(path)`:                "",
		`os.Remove(path)`:                 "",
	} {
		source, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() { "+text+" }",
			parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(opens(source), " "); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// opens returns the functions of package os in a file that open a path without O_NONBLOCK. ReadDir opens only
// directories.
func opens(source *ast.File) (found []string) {
	ast.Inspect(source, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		of, isName := selector.X.(*ast.Ident)
		if isName && of.Name == "os" {
			switch selector.Sel.Name {
			case "Open", "OpenFile", "ReadFile", "Create", "WriteFile", "OpenInRoot":
				found = append(found, selector.Sel.Name)
			}
		}
		return true
	})
	return found
}
