// SPDX-License-Identifier: Apache-2.0

package selector

import (
	"fmt"
	"slices"
)

// comparison parses the rest of a term after its key.
func (p *parser) comparison(key string) (node, error) {
	operator := p.token
	if operator.kind == kindString {
		return node{}, unknownOperator(operator, key)
	}
	if err := p.advance(); err != nil {
		return node{}, err
	}
	switch operator.text {
	case "==":
		return p.value(opEquals, key)
	case "!=":
		n, err := p.value(opEquals, key)
		return n.negated(), err
	case "contains":
		return p.value(opContains, key)
	case "in":
		return p.set(key)
	case "starts", "ends", "not":
		return p.twoWords(operator, key)
	// Calico also accepts the two-word operators without a space.
	case "startswith":
		return p.value(opStarts, key)
	case "endswith":
		return p.value(opEnds, key)
	case "notin":
		n, err := p.set(key)
		return n.negated(), err
	}
	return node{}, unknownOperator(operator, key)
}

func (p *parser) twoWords(first token, key string) (node, error) {
	second := "with"
	if first.text == "not" {
		second = "in"
	}
	if err := p.sequence(second); err != nil {
		return node{}, err
	}
	switch first.text {
	case "starts":
		return p.value(opStarts, key)
	case "ends":
		return p.value(opEnds, key)
	}
	n, err := p.set(key)
	return n.negated(), err
}

func (p *parser) value(op op, key string) (node, error) {
	if p.token.kind != kindString {
		return node{}, p.expected("a quoted string")
	}
	n := node{op: op, key: key, values: []string{p.token.text}}
	return n, p.advance()
}

// set parses "{", strings separated by commas, "}". The set may be empty.
func (p *parser) set(key string) (node, error) {
	if err := p.sequence("{"); err != nil {
		return node{}, err
	}
	n := node{op: opIn, key: key}
	for !p.at("}") {
		if len(n.values) > 0 {
			if !p.at(",") {
				return node{}, p.expected(`"," or "}"`)
			}
			if err := p.advance(); err != nil {
				return node{}, err
			}
		}
		if p.token.kind != kindString {
			return node{}, p.expected("a quoted string")
		}
		n.values = append(n.values, p.token.text)
		if err := p.advance(); err != nil {
			return node{}, err
		}
	}
	slices.Sort(n.values)
	n.values = slices.Compact(n.values)
	return n, p.advance()
}

func unknownOperator(found token, key string) error {
	expected := fmt.Sprintf("after the key %q one of ==, !=, in, not in, contains, starts with, ends with", clip(key))
	return syntaxError(found.pos, expected, found.String())
}
