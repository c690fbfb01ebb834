// SPDX-License-Identifier: Apache-2.0

package selector

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

type kind byte

const (
	kindEnd    kind = iota
	kindWord        // a key or a keyword, depending on its position
	kindString      // text is the content of the quotes
	kindSymbol      // one of ( ) { } , ! == != && ||
)

type token struct {
	kind kind
	text string
	// pos is the offset of the first byte.
	pos int
}

// String returns the token as errors show it.
func (t token) String() string {
	switch t.kind {
	case kindEnd:
		return "the end"
	case kindString:
		return fmt.Sprintf("the string %q", clip(t.text))
	default:
		return fmt.Sprintf("%q", clip(t.text))
	}
}

// lexer splits a selector into tokens, one at a time.
type lexer struct {
	text string
	pos  int
}

func (l *lexer) next() (token, error) {
	for l.pos < len(l.text) && isSpace(l.text[l.pos]) {
		l.pos++
	}
	if l.pos == len(l.text) {
		return token{kindEnd, "", l.pos}, nil
	}
	switch c := l.text[l.pos]; {
	case isKey(c):
		return l.word(), nil
	case c == '\'' || c == '"':
		return l.quoted(c)
	default:
		return l.symbol()
	}
}

func (l *lexer) word() token {
	start := l.pos
	for l.pos < len(l.text) && isKey(l.text[l.pos]) {
		l.pos++
	}
	return token{kindWord, l.text[start:l.pos], start}
}

func (l *lexer) quoted(quote byte) (token, error) {
	start := l.pos
	length := strings.IndexByte(l.text[start+1:], quote)
	if length < 0 {
		return token{}, syntaxError(start, fmt.Sprintf("a closing %c for the string that starts here", quote),
			"the end")
	}
	l.pos = start + 1 + length + 1
	return token{kindString, l.text[start+1 : l.pos-1], start}, nil
}

func (l *lexer) symbol() (token, error) {
	start, rest := l.pos, l.text[l.pos:]
	width := 1
	if len(rest) > 1 {
		switch rest[:2] {
		case "==", "!=", "&&", "||":
			width = 2
		}
	}
	if width == 1 {
		switch rest[0] {
		case '(', ')', '{', '}', ',', '!':
		case '=', '&', '|':
			return token{}, syntaxError(start, fmt.Sprintf("%q", strings.Repeat(rest[:1], 2)),
				fmt.Sprintf("a single %q", rest[:1]))
		default:
			r, _ := utf8.DecodeRuneInString(rest)
			return token{}, syntaxError(start, "a key, a quoted string or an operator", fmt.Sprintf("%q", r))
		}
	}
	l.pos += width
	return token{kindSymbol, rest[:width], start}, nil
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r'
}

func isKey(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '/' ||
		c == '-'
}

// clip shortens a text so that the error fits on one line of a log.
func clip(text string) string {
	const most = 40
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

func syntaxError(pos int, expected, found string) error {
	return fmt.Errorf("%w: position %d: expected %s, found %s", ErrSyntax, pos+1, expected, found)
}
