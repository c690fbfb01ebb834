// SPDX-License-Identifier: Apache-2.0

package selector

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// expression is a random selector: its text, its meaning for given labels, and whether "!", "&&" and "||" can take it
// without parentheses.
type expression struct {
	text    string
	meaning func(labels map[string]string) bool
	binding int
}

// Binding strengths, from loose to tight.
const (
	loose = iota
	tight
	term
)

func (e expression) inside(binding int) string {
	if e.binding < binding {
		return "(" + e.text + ")"
	}
	return e.text
}

func drawKey(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "in", "not", "has", "all", "k8s.io/x-y_z", "-"}).Draw(t, "key")
}

func drawValue(t *rapid.T) string {
	return rapid.OneOf(rapid.SampledFrom([]string{"", "x", "xy", "yx", "y", " && ", "é"}),
		rapid.StringMatching(`[ -~]{0,4}`)).Draw(t, "value")
}

func drawQuoted(t *rapid.T, value string) string {
	quotes := []string{"'", `"`}
	quotes = slices.DeleteFunc(quotes, func(q string) bool { return strings.Contains(value, q) })
	if len(quotes) == 0 {
		t.Skip("no selector can express a value with both quotes")
	}
	q := rapid.SampledFrom(quotes).Draw(t, "quote")
	return q + value + q
}

func drawSpace(t *rapid.T) string {
	return rapid.SampledFrom([]string{" ", "\t", "  ", "\n"}).Draw(t, "space")
}

func drawExpression(t *rapid.T, depth int) expression {
	if depth == 0 || rapid.Bool().Draw(t, "leaf") {
		return drawLeaf(t)
	}
	switch rapid.SampledFrom([]string{"!", "&&", "||", "()"}).Draw(t, "operator") {
	case "!":
		e := drawExpression(t, depth-1)
		return expression{"!" + e.inside(term), func(l map[string]string) bool { return !e.meaning(l) }, term}
	case "&&":
		a, b := drawExpression(t, depth-1), drawExpression(t, depth-1)
		both := func(l map[string]string) bool { return a.meaning(l) && b.meaning(l) }
		return expression{a.inside(tight) + " && " + b.inside(tight), both, tight}
	case "||":
		a, b := drawExpression(t, depth-1), drawExpression(t, depth-1)
		either := func(l map[string]string) bool { return a.meaning(l) || b.meaning(l) }
		return expression{a.inside(loose) + "||" + b.inside(loose), either, loose}
	default:
		e := drawExpression(t, depth-1)
		return expression{"( " + e.text + " )", e.meaning, term}
	}
}

func drawLeaf(t *rapid.T) expression {
	key, value, space := drawKey(t), drawValue(t), drawSpace(t)
	leaf := func(text string, absent bool, present func(v string) bool) expression {
		return expression{text, func(l map[string]string) bool {
			v, ok := l[key]
			return !ok && absent || ok && present(v)
		}, term}
	}
	operator := rapid.SampledFrom([]string{
		"all()", "global()", "has", "==", "!=", "in", "not in", "contains", "starts with", "ends with",
	}).Draw(t, "operator")
	switch operator {
	case "all()", "global()":
		return leaf(operator, true, func(string) bool { return true })
	case "has":
		return leaf("has("+key+")", false, func(string) bool { return true })
	case "in", "not in":
		return drawSet(t, key, operator == "not in", leaf)
	}
	text := key + space + strings.ReplaceAll(operator, " ", space) + space + drawQuoted(t, value)
	switch operator {
	case "==":
		return leaf(text, false, func(v string) bool { return v == value })
	case "!=":
		return leaf(text, true, func(v string) bool { return v != value })
	case "contains":
		return leaf(text, false, func(v string) bool { return len(strings.Split(v, value)) > 1 || value == "" })
	case "starts with":
		return leaf(text, false, func(v string) bool { return len(v) >= len(value) && v[:len(value)] == value })
	default:
		return leaf(text, false, func(v string) bool { return len(v) >= len(value) && v[len(v)-len(value):] == value })
	}
}

func drawSet(t *rapid.T, key string, not bool, leaf func(string, bool, func(string) bool) expression) expression {
	values := rapid.SliceOfN(rapid.Custom(drawValue), 0, 4).Draw(t, "values")
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = drawQuoted(t, v)
	}
	operator := " in "
	if not {
		operator = " not in "
	}
	text := key + operator + "{" + strings.Join(quoted, " , ") + "}"
	return leaf(text, not, func(v string) bool { return slices.Contains(values, v) != not })
}

func drawLabels(t *rapid.T) map[string]string {
	return rapid.MapOfN(rapid.Custom(drawKey), rapid.Custom(drawValue), 0, 5).Draw(t, "labels")
}

func TestMatchesAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawExpression(t, 4)
		s, err := Parse(e.text)
		if err != nil {
			t.Fatalf("Parse(%q): %v", e.text, err)
		}
		for range 4 {
			labels := drawLabels(t)
			if got, want := s.Matches(labels), e.meaning(labels); got != want {
				t.Fatalf("%q (%s) matches %v: %v, want %v", e.text, s, labels, got, want)
			}
			if s.IsAll() && !e.meaning(labels) {
				t.Fatalf("IsAll of %q is true, but it does not match %v", e.text, labels)
			}
		}
	})
}

func TestStringRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawExpression(t, 4).text
		s, err := Parse(text)
		if err != nil {
			t.Fatalf("Parse(%q): %v", text, err)
		}
		checkRoundTrip(t, s)
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "all()", "!has(a) && b in {'x', \"y\"} || !(c not in {} && d starts with 'e')", "a == 'b", "((((",
		"a contains ''", "!!!!global()", "has(a) && (has(b) && has(c))", "(has(a) || has(b)) || has(c)",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		s.Matches(map[string]string{"a": "b"})
		s.IsAll()
		checkRoundTrip(t, s)
	})
}

func checkRoundTrip(t interface{ Fatalf(string, ...any) }, s *Selector) {
	text := s.String()
	again, err := Parse(text)
	if err != nil {
		t.Fatalf("canonical form %q does not parse: %v", text, err)
	}
	if diff := cmp.Diff(s, again, cmp.AllowUnexported(Selector{}, node{})); diff != "" {
		t.Fatalf("%q parses back as %q:\n%s", text, again, diff)
	}
	if again.String() != text {
		t.Fatalf("%q prints again as %q", text, again)
	}
}
