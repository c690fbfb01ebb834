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

// hostPath matches paths of the host that docs/on-disk.md must list.
var hostPath = regexp.MustCompile(`^/(var/(lib|run|log)/(calico|cni)|etc/cni)(/|$)`)

// fileName matches file names with a dot, and extensions.
var fileName = regexp.MustCompile(`^\.?[a-z-]*\.(atomicfile|block|blocks|broken|calico-cni-disabled|conf|conflist|` +
	`disabled|gz|json|lock|log|migrated|migrating|record|release|swept|zst)$`)

// writers are the packages that write or read files below the host paths.
var writers = []string{
	"cmd", "conflist", "internal/atomicfile", "internal/hostlock", "internal/logfile", "internal/nodestate",
	"pkg/install", "pkg/invocation", "pkg/ipamplugin", "pkg/migrate", "pkg/netconf", "pkg/nodeipam", "pkg/pending",
	"pkg/plugin",
}

// elsewhere are file names that are not part of the state on the host.
var elsewhere = map[string]string{
	"ca.crt": "of the installer's service account", "token": "of the installer's service account",
	"namespace": "of the installer's service account",
	"proc":      "of the kernel", "route": "of the kernel", "ipv6_route": "of the kernel", "net": "of the kernel",
}

// TestOnDiskPageListsEveryFile reads the source of the packages that write files on a node.
func TestOnDiskPageListsEveryFile(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(docs, "on-disk.md"))
	if err != nil {
		t.Fatal(err)
	}
	spans, found := strings.Join(codeSpan.FindAllString(string(data), -1), "\n"), map[string]bool{}
	for _, dir := range writers {
		for _, name := range named(t, filepath.Join("..", "..", dir)) {
			found[name] = true
			if elsewhere[name] == "" && !isNamed(spans, name) {
				t.Errorf("docs/on-disk.md lacks %[2]q, which is used in %[1]s", dir, name)
			}
		}
	}
	if isNamed("`/var/run/calico/cni/blocks/x`", "block") {
		t.Error("isNamed accepts a part of a name")
	}
	for _, name := range []string{
		"/var/lib/calico/cni", "adding", "pending", "settle.lock", ".calico-cni.record", "ipam_upgraded",
	} {
		if !found[name] {
			t.Errorf("this test did not find %q in the code", name)
		}
	}
}

// codeSpan matches text between backquotes.
var codeSpan = regexp.MustCompile("`[^`\n]+`")

// isNamed reports whether the code spans of a page contain the name as a complete path element.
func isNamed(spans, name string) bool {
	before := `(^|[^a-z-])`
	if strings.HasPrefix(name, ".") {
		before = ""
	}
	return regexp.MustCompile(before + regexp.QuoteMeta(name) + `($|[^a-z-])`).MatchString(spans)
}

// named returns the file names in the source below a directory: host paths, file names, and arguments of filepath.Join.
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

// joined returns the literal arguments of a call of filepath.Join.
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

// literal returns the value of a string literal, or "" for other expressions.
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
