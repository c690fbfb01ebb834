// SPDX-License-Identifier: Apache-2.0

// Package jsonfault explains why a text is not valid JSON: cause, position and remedy. It quotes nothing of the text,
// which may contain secrets.
package jsonfault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Explain returns the cause and the remedy of a syntax error, to complete a sentence about the text: "it is empty; want
// one JSON object". It returns an empty string if there is no syntax error. Lines and columns count from 1, columns in
// bytes.
func Explain(text []byte) string {
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return "it is empty; want one JSON object"
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		return "it begins with a byte order mark (BOM); save it as UTF-8 without BOM"
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")), bytes.IndexByte(text,
		0) >= 0:
		return "it is UTF-16 or binary; save it as UTF-8 without BOM"
	}
	var whole json.RawMessage
	var syntax *json.SyntaxError
	if err := json.Unmarshal(text, &whole); !errors.As(err, &syntax) {
		return ""
	}
	line, column := position(text, syntax.Offset)
	switch err := json.NewDecoder(bytes.NewReader(text)).Decode(&whole); {
	case err == nil:
		return fmt.Sprintf("more text follows the JSON at line %d, column %d; remove it", line, column)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends before the JSON is complete; check whether it was cut off, or lacks a closing quote, bracket " +
			"or brace"
	}
	return fmt.Sprintf("it is not JSON at line %d, column %d; see the quotes and commas there", line, column)
}

// position returns the line and column of the byte before offset.
func position(text []byte, offset int64) (line, column int) {
	before := text[:max(0, min(int(offset)-1, len(text)))]
	return 1 + bytes.Count(before, []byte("\n")), len(before) - bytes.LastIndexByte(before, '\n')
}

// Unmarshal decodes a text like json.Unmarshal. Its error is that of Explain, or names the field that has the wrong
// type. It quotes nothing of the text.
func Unmarshal(text []byte, into any) error {
	err := json.Unmarshal(text, into)
	if err == nil {
		return nil
	}
	if fault := Explain(text); fault != "" {
		return errors.New(fault)
	}
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) && mistyped.Field != "" {
		return fmt.Errorf("its field %s has a value of the wrong type", mistyped.Field)
	}
	return errors.New("it has a value of the wrong type")
}
