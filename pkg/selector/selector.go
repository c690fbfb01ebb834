// SPDX-License-Identifier: Apache-2.0

// Package selector implements Calico's selector language: expressions over labels, such as the nodeSelector and the
// namespaceSelector of an IPPool.
//
//	all()  global()            everything
//	has(k)  !has(k)            the label k is present, is absent
//	k == 'v'  k != 'v'         its value is v; is not v, or k is absent
//	k in {'a', 'b'}            its value is one of these
//	k not in {'a', 'b'}        its value is none of these, or k is absent
//	k contains 'v'             its value contains v; likewise "starts with" and "ends with"
//	! && || ( )                "!" applies to the next term; "&&" binds tighter than "||"
//
// Strings are enclosed in single or double quotes, without escapes: a string may contain anything except its own quote.
// Keys consist of ASCII letters, digits and "_./-". Spaces, tabs and newlines only separate tokens. An empty selector
// equals all(): a pool without nodeSelector serves every node, one without namespaceSelector every namespace. The
// meaning of global() depends on the object that contains it. For pools it equals all().
package selector

import "errors"

// Limits of Parse. The API server limits an object to 1.5 MiB. A selector of 256 KiB can list several thousand nodes.
const (
	// MaxLength is the maximum length of a selector in bytes.
	MaxLength = 256 << 10
	// MaxDepth is the maximum nesting of parentheses. It bounds the stack of parsing, matching and printing. Chains of
	// "!", "&&" and "||" do not nest.
	MaxDepth = 100
)

// ErrSyntax is wrapped by every error of Parse.
var ErrSyntax = errors.New("invalid selector")

// Selector is a parsed selector. It is immutable and safe for concurrent use. The zero value is all().
type Selector struct {
	root node
}

// Parse parses a selector. An error wraps ErrSyntax. It names the byte position, counted from 1, and what was expected
// and found there.
func Parse(text string) (*Selector, error) {
	root, err := parseNode(text)
	if err != nil {
		return nil, err
	}
	return &Selector{root}, nil
}

// Matches reports whether the selector matches an object with these labels. It does not allocate.
func (s *Selector) Matches(labels map[string]string) bool {
	return s.root.matches(labels)
}

// IsAll reports whether the selector provably matches any labels, so that a caller need not fetch them. A false result
// proves nothing: IsAll does not detect that "has(k) || !has(k)" always matches.
func (s *Selector) IsAll() bool {
	return s.root.constant() == always
}

// String returns the selector in canonical form, with uniform spacing, quotes and parentheses and sorted sets. Parse
// parses it to an equal selector.
func (s *Selector) String() string {
	return string(s.root.print(nil))
}
