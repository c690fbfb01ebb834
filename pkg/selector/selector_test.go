// SPDX-License-Identifier: Apache-2.0

package selector

import (
	"errors"
	"strings"
	"testing"
)

func TestMatches(t *testing.T) {
	labels := map[string]string{
		"zone":                "eu-1a",
		"empty":               "",
		"kubernetes.io/os":    "linux",
		"in":                  "word",
		"has":                 "word",
		"_a.b/c-D9":           "x",
		"quoted":              `it's`,
		"projectcalico.org/n": "default",
	}
	for text, want := range map[string]bool{
		"":                                    true,
		" \t\r\n":                             true,
		"all()":                               true,
		"all( )":                              true,
		"global()":                            true,
		"!all()":                              false,
		"has(zone)":                           true,
		"has( zone )":                         true,
		"has(empty)":                          true,
		"has(absent)":                         false,
		"!has(absent)":                        true,
		"! ! has(zone)":                       true,
		"zone == 'eu-1a'":                     true,
		`zone=="eu-1a"`:                       true,
		"zone == 'EU-1A'":                     false,
		"absent == ''":                        false,
		"empty == ''":                         true,
		"zone != 'eu-1a'":                     false,
		"zone != 'x'":                         true,
		"absent != 'x'":                       true,
		"zone in {'eu-1b', 'eu-1a'}":          true,
		"zone in{'eu-1b','eu-1a'}":            true,
		"zone in {}":                          false,
		"absent in {''}":                      false,
		"zone not in {'eu-1b', 'eu-1a'}":      false,
		"zone not  in {'eu-1b'}":              true,
		"zone notin {'eu-1b'}":                true,
		"absent not in {'a'}":                 true,
		"absent not in {}":                    true,
		"zone contains '-1'":                  true,
		"zone contains ''":                    true,
		"absent contains ''":                  false,
		"zone starts with 'eu'":               true,
		"zone startswith 'eu'":                true,
		"zone starts with '1a'":               false,
		"zone ends with '1a'":                 true,
		"zone endswith '1a'":                  true,
		"zone ends with 'eu'":                 false,
		"absent ends with ''":                 false,
		"!zone == 'eu-1a'":                    false,
		"!zone == 'x' && has(zone)":           true,
		"kubernetes.io/os == 'linux'":         true,
		"_a.b/c-D9 == 'x'":                    true,
		"in in {'word'}":                      true,
		"has == 'word'":                       true,
		"all == 'word'":                       false,
		`quoted == "it's"`:                    true,
		"all() || !all() && !all()":           true,
		"(all() || !all()) && !all()":         false,
		"!all() && !all() || all()":           true,
		"!(all() && !all())":                  true,
		"has(absent) || has(zone)":            true,
		"has(zone) && has(empty) && has(in)":  true,
		"has(zone) && has(absent) && has(in)": false,
		"projectcalico.org/n in {'default'}":  true,
	} {
		s, err := Parse(text)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
			continue
		}
		if got := s.Matches(labels); got != want {
			t.Errorf("%q matches: %v, want %v", text, got, want)
		}
	}
}

func TestMatchesNilLabels(t *testing.T) {
	for text, want := range map[string]bool{"has(k)": false, "k == ''": false, "k != ''": true, "all()": true} {
		if got := mustParse(t, text).Matches(nil); got != want {
			t.Errorf("%q matches nil: %v, want %v", text, got, want)
		}
	}
}

func TestZeroSelectorMatchesAll(t *testing.T) {
	var s Selector
	if !s.Matches(nil) || !s.IsAll() || s.String() != "all()" {
		t.Errorf("matches %v, is all %v, prints %q", s.Matches(nil), s.IsAll(), s.String())
	}
}

func TestParseErrorsNamePositionAndExpectation(t *testing.T) {
	for text, want := range map[string]string{
		"zone": `position 5: expected after the key "zone" one of ==, !=, in, not in, contains, ` +
			`starts with, ends with, found the end`,
		"zone = 'a'": `position 6: expected "==", found a single "="`,
		"zone is 'a'": `position 6: expected after the key "zone" one of ==, !=, in, not in, contains, ` +
			`starts with, ends with, found "is"`,
		"zone '==' 'a'": `position 6: expected after the key "zone" one of ==, !=, in, not in, contains, ` +
			`starts with, ends with, found the string "=="`,
		"zone == a":          `position 9: expected a quoted string, found "a"`,
		"zone == 'a":         `position 9: expected a closing ' for the string that starts here, found the end`,
		`zone == "a'`:        `position 9: expected a closing " for the string that starts here, found the end`,
		"zone not 'a'":       `position 10: expected "in", found the string "a"`,
		"zone starts 'with'": `position 13: expected "with", found the string "with"`,
		"zone in 'a'":        `position 9: expected "{", found the string "a"`,
		"zone in {'a' 'b'}":  `position 14: expected "," or "}", found the string "b"`,
		"zone in {'a',}":     `position 14: expected a quoted string, found "}"`,
		"zone in {a}":        `position 10: expected a quoted string, found "a"`,
		"zone in {'a'":       `position 13: expected "," or "}", found the end`,
		"has(zone) has(a)":   `position 11: expected "&&", "||" or the end, found "has"`,
		"has(zone) & has(a)": `position 11: expected "&&", found a single "&"`,
		"has(zone) |":        `position 11: expected "||", found a single "|"`,
		"has(zone) &&":       `position 13: expected a key, "has(", "all()", "!" or "(", found the end`,
		"&& has(zone)":       `position 1: expected a key, "has(", "all()", "!" or "(", found "&&"`,
		"(has(zone)":         `position 11: expected "&&", "||" or ")", found the end`,
		"has(zone))":         `position 10: expected "&&", "||" or the end, found ")"`,
		"has()":              `position 5: expected a key, found ")"`,
		"has('zone')":        `position 5: expected a key, found the string "zone"`,
		"has(zone":           `position 9: expected ")", found the end`,
		"all(":               `position 5: expected ")", found the end`,
		"any()": `position 4: expected after the key "any" one of ==, !=, in, not in, contains, starts ` +
			`with, ends with, found "("`,
		"zöne == 'a'":   `position 2: expected a key, a quoted string or an operator, found 'ö'`,
		"'zone' == 'a'": `position 1: expected a key, "has(", "all()", "!" or "(", found the string "zone"`,
		"!":             `position 2: expected a key, "has(", "all()", "!" or "(", found the end`,
		"()":            `position 2: expected a key, "has(", "all()", "!" or "(", found ")"`,
		strings.Repeat("a", 99): `position 100: expected after the key "` + strings.Repeat("a", 40) +
			`…" one of ==, !=, in, not in, contains, starts with, ends with, found the end`,
	} {
		s, err := Parse(text)
		if err == nil {
			t.Errorf("Parse(%q) = %s, want an error", text, s)
			continue
		}
		if !errors.Is(err, ErrSyntax) {
			t.Errorf("Parse(%q): %v does not wrap ErrSyntax", text, err)
		}
		if got, _ := strings.CutPrefix(err.Error(), "invalid selector: "); got != want {
			t.Errorf("Parse(%q):\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestParseLimits(t *testing.T) {
	nested := func(depth int) string {
		return strings.Repeat("!(", depth) + "a == 'b' || has(c) && has(d)" + strings.Repeat(")", depth)
	}
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"deepest":         {nested(MaxDepth), true},
		"too deep":        {nested(MaxDepth + 1), false},
		"siblings":        {strings.Repeat("(has(a)) && ", 1000) + "has(a)", true},
		"longest":         {strings.Repeat("!", MaxLength-6) + "has(a)", true},
		"too long":        {strings.Repeat("!", MaxLength-5) + "has(a)", false},
		"too long blanks": {strings.Repeat(" ", MaxLength+1), false},
	} {
		s, err := Parse(c.text)
		if ok := err == nil; ok != c.ok {
			t.Errorf("%s: error %v, want ok %v", name, err, c.ok)
		}
		if err != nil {
			continue
		}
		if _, err := Parse(s.String()); err != nil {
			t.Errorf("%s: canonical form does not parse: %v", name, err)
		}
	}
}

func TestIsAll(t *testing.T) {
	for text, want := range map[string]bool{
		"":                        true,
		"all()":                   true,
		"global()":                true,
		"(all())":                 true,
		"!!all()":                 true,
		"!all()":                  false,
		"has(a)":                  false,
		"!has(a)":                 false,
		"has(a) || all()":         true,
		"has(a) && all()":         false,
		"all() && global()":       true,
		"!(has(a) && !all())":     true,
		"a not in {}":             true,
		"a in {}":                 false,
		"a not in {} && has(a)":   false,
		"!all() || !all()":        false,
		"!(!all() || a in {})":    true,
		"!(has(a) || all())":      false,
		"a contains '' || !all()": false,
	} {
		if got := mustParse(t, text).IsAll(); got != want {
			t.Errorf("IsAll(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestStringIsCanonical(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "all()",
		"global()":                      "all()",
		"!!!( has(a) )":                 "!has(a)",
		`!(a=="b")`:                     "a != 'b'",
		"!(a not in {'y','x','y'})":     "a in {'x', 'y'}",
		"a in {}":                       "a in {}",
		"a notin{'x'}":                  "a not in {'x'}",
		"a startswith'x'||a endswith''": "a starts with 'x' || a ends with ''",
		"!(a contains 'x')":             "!a contains 'x'",
		"(a=='b'&&(has(c)&&has(d)))":    "a == 'b' && has(c) && has(d)",
		"(has(a)&&has(b))||has(c)":      "has(a) && has(b) || has(c)",
		"has(a)&&(has(b)||has(c))":      "has(a) && (has(b) || has(c))",
		"!(has(a)||has(c))":             "!(has(a) || has(c))",
		`a == "it's"`:                   `a == "it's"`,
		`a == '"'`:                      `a == '"'`,
	} {
		if got := mustParse(t, text).String(); got != want {
			t.Errorf("String of %q:\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestMatchesDoesNotAllocate(t *testing.T) {
	s := mustParse(t, "has(a) && (b in {'x','y','z'} || !(c starts with 'x' && d ends with 'y')) && e contains 'q' "+
		"&& f not in {'1','2'}")
	labels := map[string]string{"a": "1", "b": "w", "c": "xx", "d": "y", "e": "q", "f": "3"}
	if n := testing.AllocsPerRun(100, func() { s.Matches(labels) }); n != 0 {
		t.Errorf("Matches allocates %v times", n)
	}
}

func mustParse(t *testing.T, text string) *Selector {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return s
}
