// SPDX-License-Identifier: Apache-2.0

package selector

import (
	"slices"
	"strings"
)

type op byte

const (
	opAll      op = iota
	opHas         // key
	opEquals      // key, one value
	opIn          // key, values sorted and distinct
	opContains    // key, one value
	opStarts      // key, one value
	opEnds        // key, one value
	opNot         // one operand, not itself opNot
	opAnd         // at least two operands, none opAnd
	opOr          // at least two operands, none opOr
)

// node is one term of a selector. "!=" and "not in" are opNot of opEquals and opIn, so they are true for an absent
// label.
type node struct {
	op     op
	key    string
	values []string
	kids   []node
}

// with returns the chain n with one more operand. If operand is a chain of the same operator, its operands are
// appended.
func (n node) with(operand node) node {
	if operand.op == n.op {
		n.kids = append(n.kids, operand.kids...)
	} else {
		n.kids = append(n.kids, operand)
	}
	return n
}

func (n node) negated() node {
	if n.op == opNot {
		return n.kids[0]
	}
	return node{op: opNot, kids: []node{n}}
}

func (n *node) matches(labels map[string]string) bool {
	switch n.op {
	case opAll:
		return true
	case opNot:
		return !n.kids[0].matches(labels)
	case opAnd, opOr:
		for i := range n.kids {
			if n.kids[i].matches(labels) == (n.op == opOr) {
				return n.op == opOr
			}
		}
		return n.op == opAnd
	}
	value, ok := labels[n.key]
	return ok && n.accepts(value)
}

// accepts reports whether the term is true for a label with this value.
func (n *node) accepts(value string) bool {
	switch n.op {
	case opHas:
		return true
	case opEquals:
		return value == n.values[0]
	case opContains:
		return strings.Contains(value, n.values[0])
	case opStarts:
		return strings.HasPrefix(value, n.values[0])
	case opEnds:
		return strings.HasSuffix(value, n.values[0])
	default:
		_, found := slices.BinarySearch(n.values, value)
		return found
	}
}

// truth is the result of a term as far as it is independent of the labels.
type truth byte

const (
	sometimes truth = iota
	always
	never
)

func (n *node) constant() truth {
	switch n.op {
	case opAll:
		return always
	case opNot:
		return n.kids[0].constant().opposite()
	case opAnd, opOr:
		// One operand of the deciding value determines a chain. Otherwise all operands must have the other value.
		decides, settled := never, always
		if n.op == opOr {
			decides, settled = always, never
		}
		for i := range n.kids {
			switch n.kids[i].constant() {
			case decides:
				return decides
			case sometimes:
				settled = sometimes
			}
		}
		return settled
	}
	if n.op == opIn && len(n.values) == 0 {
		return never
	}
	return sometimes
}

func (t truth) opposite() truth {
	switch t {
	case always:
		return never
	case never:
		return always
	}
	return sometimes
}
