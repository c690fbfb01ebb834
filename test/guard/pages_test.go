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
	"strings"
	"testing"
	"unicode/utf8"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// sources returns the parsed Go files below directories of the main module, tests excluded.
func sources(t *testing.T, dirs ...string) (files []*ast.File) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			files = append(files, file)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// texts returns the string literals of the plugins and of install, with concatenations joined.
func texts(t *testing.T) string {
	t.Helper()
	var all []string
	for _, file := range sources(t, "cmd", "conflist", "internal", "pkg") {
		ast.Inspect(file, func(n ast.Node) bool {
			e, is := n.(ast.Expr)
			if !is {
				return true
			}
			text := concatenated(e)
			all = append(all, text)
			return text == ""
		})
	}
	return strings.Join(all, "\n")
}

// concatenated returns the value of a string literal or of a concatenation of literals.
func concatenated(e ast.Expr) string {
	sum, is := e.(*ast.BinaryExpr)
	if !is || sum.Op != token.ADD {
		return literal(e)
	}
	left, right := concatenated(sum.X), concatenated(sum.Y)
	if left == "" || right == "" {
		return ""
	}
	return left + right
}

// messageRow matches a row of a table whose first cell contains messages.
var messageRow = regexp.MustCompile("(?m)^\\| (`[^|]+`) \\|")

// TestTroubleshootingQuotesExistingMessages searches the source for each message of the tables. "…" is a value.
func TestTroubleshootingQuotesExistingMessages(t *testing.T) {
	page, source, quoted := read(t, filepath.Join(docs, "troubleshooting.md")), texts(t), 0
	for _, row := range messageRow.FindAllStringSubmatch(page, -1) {
		for _, message := range codeSpan.FindAllString(row[1], -1) {
			quoted++
			for part := range strings.SplitSeq(strings.Trim(message, "`"), "…") {
				if part = strings.TrimSpace(part); !strings.Contains(source, part) {
					t.Errorf("docs/troubleshooting.md quotes %q, which is in no message", part)
				}
			}
		}
	}
	if quoted < 60 {
		t.Errorf("only %d messages found in docs/troubleshooting.md", quoted)
	}
}

// TestTroubleshootingListsEveryCode searches the table of codes for each code of pkg/cnierr.
func TestTroubleshootingListsEveryCode(t *testing.T) {
	page, found := read(t, filepath.Join(docs, "troubleshooting.md")), 0
	for _, file := range sources(t, "pkg/cnierr") {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, is := n.(*ast.ValueSpec)
			if !is || len(spec.Values) != 1 {
				return true
			}
			if code, is := spec.Values[0].(*ast.BasicLit); is && code.Kind == token.INT {
				found++
				if !strings.Contains(page, "\n| "+code.Value+" | ") {
					t.Errorf("docs/troubleshooting.md has no row for code %s, %s", code.Value, spec.Names[0])
				}
			}
			return true
		})
	}
	if found < 5 {
		t.Errorf("only %d codes found in pkg/cnierr", found)
	}
}

// pageLink matches a link to a file of the repository, with an optional heading.
var pageLink = regexp.MustCompile(`\]\(([^)#:\s]*)(#[^)\s]+)?\)`)

// TestPagesHaveValidLinksAndWidth checks all pages. Tables, code, lines with only a link, and generated pages may be
// wider.
func TestPagesHaveValidLinksAndWidth(t *testing.T) {
	for _, path := range pages(t) {
		text := read(t, path)
		for _, link := range pageLink.FindAllStringSubmatch(text, -1) {
			checkLink(t, path, link[1], strings.TrimPrefix(link[2], "#"))
		}
		if generated := filepath.Base(path); generated == "performance.md" || generated == "ipam-cost.md" {
			continue
		}
		code := false
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\n")
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				code = !code
			}
			exempt := code || strings.HasPrefix(line, "|") || strings.HasPrefix(line, "    ") ||
				!strings.Contains(strings.TrimSpace(line), " ")
			if !exempt && utf8.RuneCountInString(line) > 120 {
				t.Errorf("%s: more than 120 columns: %s", path, line)
			}
		}
	}
}

// TestDecisionsAreIndexed compares docs/decisions/README.md with the records.
func TestDecisionsAreIndexed(t *testing.T) {
	dir := filepath.Join(docs, "decisions")
	index := read(t, filepath.Join(dir, "README.md"))
	records, err := filepath.Glob(filepath.Join(dir, "0*.md"))
	if err != nil || len(records) < 40 {
		t.Fatalf("only %d records found: %v", len(records), err)
	}
	for _, path := range records {
		heading, _, _ := strings.Cut(read(t, path), "\n")
		number, title, _ := strings.Cut(strings.TrimPrefix(heading, "# "), ": ")
		if row := "| [" + number + "](" + filepath.Base(path) + ") | " + title + " |"; !strings.Contains(index, row) {
			t.Errorf("docs/decisions/README.md lacks a row that begins with %s", row)
		}
	}
}

func pages(t *testing.T) (paths []string) {
	t.Helper()
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md", "test/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	if len(paths) < 50 {
		t.Fatalf("only %d pages found", len(paths))
	}
	return paths
}

func checkLink(t *testing.T, page, file, heading string) {
	t.Helper()
	target := page
	if file != "" {
		target = filepath.Join(filepath.Dir(page), file)
	}
	if _, err := os.Stat(target); err != nil {
		t.Errorf("%s: %v", page, err)
		return
	}
	if heading == "" || !strings.HasSuffix(target, ".md") {
		return
	}
	for line := range strings.Lines(read(t, target)) {
		if strings.HasPrefix(line, "#") && anchor(line) == heading {
			return
		}
	}
	t.Errorf("%s: %s has no heading %q", page, target, heading)
}

// anchor returns the fragment by which a heading is linked.
func anchor(heading string) string {
	text := strings.ToLower(strings.TrimSpace(strings.TrimLeft(heading, "#")))
	text = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(text, "")
	return strings.ReplaceAll(text, " ", "-")
}
