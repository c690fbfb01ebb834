// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// hostPath is a path of the host that the page on files names.
var hostPath = regexp.MustCompile(`^/(var/(lib|run|log)/(calico|cni)|etc/cni)(/|$)`)

// fileName is a string that names files: a name with a dot, or only what a name ends in.
var fileName = regexp.MustCompile(`^\.?[a-z-]*\.(atomicfile|block|blocks|broken|calico-cni-disabled|conf|conflist|disabled|gz|json|lock|log|migrated|migrating|record|release|swept|zst)$`)

// writers are the packages that make or read files below the host paths.
var writers = []string{
	"cmd", "conflist", "internal/atomicfile", "internal/hostlock", "internal/logfile", "internal/nodestate",
	"pkg/install", "pkg/invocation", "pkg/ipamplugin", "pkg/migrate", "pkg/netconf", "pkg/nodeipam", "pkg/pending", "pkg/plugin",
}

// elsewhere are names of files that are not among the host's state.
var elsewhere = map[string]string{
	"ca.crt": "of the installer's service account", "token": "of the installer's service account", "namespace": "of the installer's service account",
	"proc": "of the kernel", "route": "of the kernel", "ipv6_route": "of the kernel", "net": "of the kernel",
}

// TestEveryFileOfTheCodeIsOnThePage reads the source of the packages that have files on a node.
func TestEveryFileOfTheCodeIsOnThePage(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(docs, "on-disk.md"))
	if err != nil {
		t.Fatal(err)
	}
	spans, found := strings.Join(codeSpan.FindAllString(string(data), -1), "\n"), map[string]bool{}
	for _, dir := range writers {
		for _, name := range named(t, filepath.Join("..", "..", dir)) {
			found[name] = true
			if elsewhere[name] == "" && !isNamed(spans, name) {
				t.Errorf("%s names %q: the page on files lacks it", dir, name)
			}
		}
	}
	if isNamed("`/var/run/calico/cni/blocks/x`", "block") {
		t.Error("a part of a name counts as the name")
	}
	for _, name := range []string{"/var/lib/calico/cni", "adding", "pending", "settle.lock", ".calico-cni.record", "ipam_upgraded"} {
		if !found[name] {
			t.Errorf("%q was not found in the code: this looks for the wrong thing", name)
		}
	}
}

// codeSpan is text between backquotes.
var codeSpan = regexp.MustCompile("`[^`\n]+`")

// isNamed reports whether a path in the code spans of a page has the name as a part of its own.
func isNamed(spans, name string) bool {
	before := `(^|[^a-z-])`
	if strings.HasPrefix(name, ".") {
		before = ""
	}
	return regexp.MustCompile(before + regexp.QuoteMeta(name) + `($|[^a-z-])`).MatchString(spans)
}

// named returns the names of files in the source below a directory: host paths, names of files, and what is joined to a path.
func named(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				names = append(names, joined(n)...)
			case *ast.BasicLit:
				if text := literal(n); hostPath.MatchString(text) || fileName.MatchString(text) {
					names = append(names, text)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// joined returns the literals that a call of filepath.Join joins to a path.
func joined(call *ast.CallExpr) (names []string) {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "Join" {
		return nil
	}
	if pkg, ok := f.X.(*ast.Ident); !ok || pkg.Name != "filepath" {
		return nil
	}
	for _, arg := range call.Args {
		if text := literal(arg); text != "" {
			names = append(names, text)
		}
	}
	return names
}

// literal returns the value of a string literal, else nothing.
func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return text
}
