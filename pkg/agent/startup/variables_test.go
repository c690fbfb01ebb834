// SPDX-License-Identifier: Apache-2.0

package startup

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryVariableIsDescribed compares the descriptions with the names in the source. Names of variables of pools are
// compared without the prefix of the family.
func TestEveryVariableIsDescribed(t *testing.T) {
	pools := regexp.MustCompile(`^CALICO_IPV[46]POOL_`)
	described, used := map[string]bool{}, map[string]bool{}
	for _, v := range Variables() {
		described[pools.ReplaceAllString(v.Name, "")] = true
		if v.Meaning == "" {
			t.Errorf("%s has no description", v.Name)
		}
	}
	name := regexp.MustCompile(`^[A-Z][A-Z0-9_]+$`)
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") || f.Name() == "variables.go" {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for n := range ast.Preorder(tree) {
			literal, isLiteral := n.(*ast.BasicLit)
			if !isLiteral || literal.Kind != token.STRING {
				continue
			}
			if text, err := strconv.Unquote(literal.Value); err == nil && name.MatchString(text) {
				used[pools.ReplaceAllString(text, "")] = true
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(described))); diff != "" {
		t.Errorf("-used +described:\n%s", diff)
	}
}
