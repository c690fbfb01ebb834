// SPDX-License-Identifier: Apache-2.0

package selector

import "strings"

// print appends the canonical text of the term.
func (n *node) print(out []byte) []byte {
	switch n.op {
	case opAll:
		return append(out, "all()"...)
	case opHas:
		return append(append(append(out, "has("...), n.key...), ')')
	case opNot:
		return n.kids[0].printNegated(out)
	case opAnd:
		return n.printChain(out, " && ")
	case opOr:
		return n.printChain(out, " || ")
	case opIn:
		return n.printSet(out, " in ")
	case opEquals:
		return n.printValue(out, " == ")
	case opContains:
		return n.printValue(out, " contains ")
	case opStarts:
		return n.printValue(out, " starts with ")
	default:
		return n.printValue(out, " ends with ")
	}
}

func (n *node) printNegated(out []byte) []byte {
	switch n.op {
	case opEquals:
		return n.printValue(out, " != ")
	case opIn:
		return n.printSet(out, " not in ")
	case opAnd, opOr:
		return append(n.print(append(out, "!("...)), ')')
	default:
		return n.print(append(out, '!'))
	}
}

// printChain adds parentheses only where the parsed text needed them, so the canonical form never nests deeper than
// MaxDepth.
func (n *node) printChain(out []byte, operator string) []byte {
	for i := range n.kids {
		if i > 0 {
			out = append(out, operator...)
		}
		if kid := &n.kids[i]; n.op == opAnd && kid.op == opOr {
			out = append(kid.print(append(out, '(')), ')')
		} else {
			out = kid.print(out)
		}
	}
	return out
}

func (n *node) printValue(out []byte, operator string) []byte {
	out = append(append(out, n.key...), operator...)
	return printString(out, n.values[0])
}

func (n *node) printSet(out []byte, operator string) []byte {
	out = append(append(append(out, n.key...), operator...), '{')
	for i, value := range n.values {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = printString(out, value)
	}
	return append(out, '}')
}

// printString uses the quote that the value does not contain. A parsed value never contains both.
func printString(out []byte, value string) []byte {
	quote := byte('\'')
	if strings.IndexByte(value, quote) >= 0 {
		quote = '"'
	}
	return append(append(append(out, quote), value...), quote)
}
