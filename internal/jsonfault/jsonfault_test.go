// SPDX-License-Identifier: Apache-2.0

package jsonfault

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestExplainReportsCauseAndRemedy(t *testing.T) {
	const empty = "it is empty; want one JSON object"
	const cut = "it ends before the JSON is complete; check whether it was cut off, or lacks a closing quote, bracket " +
		"or brace"
	const encoding = "it is UTF-16 or binary; save it as UTF-8 without BOM"
	for text, want := range map[string]string{
		"":                          empty,
		" \n\t":                     empty,
		"\xef\xbb\xbf{}":            "it begins with a byte order mark (BOM); save it as UTF-8 without BOM",
		"\xff\xfe{\x00}\x00":        encoding,
		"\xfe\xff\x00{\x00}":        encoding,
		"{\x00}\x00":                encoding,
		"{":                         cut,
		`{"a": "b`:                  cut,
		`{"a": [1,`:                 cut,
		"{}\n{}":                    "more text follows the JSON at line 2, column 1; remove it",
		`{"a": 1}x`:                 "more text follows the JSON at line 1, column 9; remove it",
		"{\n  \"a\": 1,\n}":         "it is not JSON at line 3, column 1; see the quotes and commas there",
		"{\n  \"a\": hunter2\n}":    "it is not JSON at line 2, column 8; see the quotes and commas there",
		`{}`:                        "",
		`[5]`:                       "",
		`{"a": {"b": ["c", null]}}`: "",
	} {
		if got := Explain([]byte(text)); got != want {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
}

func FuzzExplain(f *testing.F) {
	for _, seed := range []string{"", "{", "{}", "\xef\xbb\xbf{}", "{\"a\"\n:}", "\x00", "nul"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := Explain(text)
		if (got == "") != json.Valid(text) {
			t.Errorf("%q: %q, valid: %v", text, got, json.Valid(text))
		}
		if got != "" && !strings.Contains(got, "; ") {
			t.Errorf("%q: no remedy in %q", text, got)
		}
	})
}

func TestUnmarshalErrorsOmitGoTypes(t *testing.T) {
	var into struct {
		A struct{ B int } `json:"a"`
	}
	for text, want := range map[string]string{
		`{"a": {"b": 1}}`:         "",
		`{"a": {"b": "hunter2"}}`: "its field a.b has a value of the wrong type",
		`[]`:                      "it has a value of the wrong type",
		``:                        "it is empty; want one JSON object",
		`{"a": {"b": "hunter2`: "it ends before the JSON is complete; " +
			"check whether it was cut off, or lacks a closing quote, bracket or brace",
	} {
		got := ""
		if err := Unmarshal([]byte(text), &into); err != nil {
			got = err.Error()
		}
		if !strings.EqualFold(got, want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
