// Package selector is Calico's selector language: expressions over labels, such as the nodeSelector and the
// namespaceSelector of an IPPool.
//
//	all()  global()            everything
//	has(k)  !has(k)            the label k is there, is not there
//	k == 'v'  k != 'v'         its value is v; is not v, or k is absent
//	k in {'a', 'b'}            its value is one of these
//	k not in {'a', 'b'}        its value is none of these, or k is absent
//	k contains 'v'             its value holds v; likewise "starts with" and "ends with"
//	! && || ( )                "!" takes the one term after it; "&&" binds tighter than "||"
//
// Strings stand in single or double quotes and know no escapes: a string holds anything but its own quote. Keys are
// of ASCII letters, digits and "_./-". Space, tab and newline separate and mean nothing else. An empty selector is
// all(): a pool without nodeSelector serves every node, one without namespaceSelector every namespace. What global()
// stands for depends on the object that holds it, and pools give it no meaning of its own: here it equals all().
package selector

import "errors"

// Limits of what Parse accepts. An object of the API server holds 1.5 MiB at most; a quarter of a MiB is a list of
// several thousand nodes.
const (
	// MaxLength is the longest selector in bytes.
	MaxLength = 256 << 10
	// MaxDepth is how deep parentheses nest. It bounds the stack of parsing, matching and printing; chains of "!", "&&"
	// and "||" take no depth.
	MaxDepth = 100
)

// ErrSyntax is wrapped by every error of Parse.
var ErrSyntax = errors.New("invalid selector")

// Selector is a parsed selector: immutable, safe for concurrent use. The zero value is all().
type Selector struct {
	root node
}

// Parse reads a selector. An error wraps ErrSyntax and says at which byte, counted from 1, what was expected and what
// was found instead.
func Parse(text string) (*Selector, error) {
	root, err := parse(text)
	if err != nil {
		return nil, err
	}
	return &Selector{root}, nil
}

// Matches reports whether an object with these labels is selected. It allocates nothing.
func (s *Selector) Matches(labels map[string]string) bool {
	return s.root.matches(labels)
}

// IsAll reports whether the selector provably matches whatever the labels, so that nobody need fetch them. False does
// not say the reverse: "has(k) || !has(k)" is not seen through.
func (s *Selector) IsAll() bool {
	return s.root.constant() == always
}

// String returns the selector in a canonical form: one way of spacing, quoting and bracketing, sets sorted. Parse reads
// it back to an equal selector.
func (s *Selector) String() string {
	return string(s.root.print(nil))
}
