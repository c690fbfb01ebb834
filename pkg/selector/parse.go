// SPDX-License-Identifier: Apache-2.0

package selector

import "fmt"

// parser is a recursive descent parser with one token of lookahead:
//
//	or    = and { "||" and }
//	and   = not { "&&" not }
//	not   = { "!" } term
//	term  = "(" or ")" | ("all" | "global") "(" ")" | "has" "(" key ")" | key compare
type parser struct {
	lexer lexer
	token token
	depth int
}

func parseNode(text string) (node, error) {
	if len(text) > MaxLength {
		return node{}, fmt.Errorf("%w: %d bytes long, at most %d are allowed", ErrSyntax, len(text), MaxLength)
	}
	p := parser{lexer: lexer{text: text}}
	if err := p.advance(); err != nil {
		return node{}, err
	}
	if p.token.kind == kindEnd {
		return node{op: opAll}, nil
	}
	root, err := p.or()
	if err != nil {
		return node{}, err
	}
	if p.token.kind != kindEnd {
		return node{}, p.expected(`"&&", "||" or the end`)
	}
	return root, nil
}

func (p *parser) or() (node, error)  { return p.chain(opOr, "||", p.and) }
func (p *parser) and() (node, error) { return p.chain(opAnd, "&&", p.not) }

// chain parses operands separated by one operator. It flattens operands that are chains of the same operator.
func (p *parser) chain(op op, symbol string, operand func() (node, error)) (node, error) {
	first, err := operand()
	if err != nil || !p.at(symbol) {
		return first, err
	}
	chain := node{op: op}.with(first)
	for p.at(symbol) {
		if err := p.advance(); err != nil {
			return node{}, err
		}
		next, err := operand()
		if err != nil {
			return node{}, err
		}
		chain = chain.with(next)
	}
	return chain, nil
}

func (p *parser) not() (node, error) {
	negated := false
	for p.at("!") {
		negated = !negated
		if err := p.advance(); err != nil {
			return node{}, err
		}
	}
	n, err := p.term()
	if err != nil || !negated {
		return n, err
	}
	return n.negated(), nil
}

func (p *parser) term() (node, error) {
	if p.at("(") {
		return p.nested()
	}
	if p.token.kind != kindWord {
		return node{}, p.expected(`a key, "has(", "all()", "!" or "("`)
	}
	word := p.token.text
	if err := p.advance(); err != nil {
		return node{}, err
	}
	if !p.at("(") {
		return p.comparison(word)
	}
	switch word {
	case "all", "global":
		return node{op: opAll}, p.sequence("(", ")")
	case "has":
		return p.has()
	}
	return node{}, unknownOperator(p.token, word)
}

func (p *parser) nested() (node, error) {
	if p.depth++; p.depth > MaxDepth {
		return node{}, syntaxError(p.token.pos, fmt.Sprintf("at most %d nested parentheses", MaxDepth), "one more")
	}
	if err := p.advance(); err != nil {
		return node{}, err
	}
	n, err := p.or()
	if err != nil {
		return node{}, err
	}
	p.depth--
	if !p.at(")") {
		return node{}, p.expected(`"&&", "||" or ")"`)
	}
	return n, p.advance()
}

func (p *parser) has() (node, error) {
	if err := p.advance(); err != nil {
		return node{}, err
	}
	if p.token.kind != kindWord {
		return node{}, p.expected("a key")
	}
	n := node{op: opHas, key: p.token.text}
	if err := p.advance(); err != nil {
		return node{}, err
	}
	return n, p.sequence(")")
}

// sequence parses these words or symbols, in order.
func (p *parser) sequence(texts ...string) error {
	for _, text := range texts {
		if p.token.kind == kindString || p.token.text != text {
			return p.expected(fmt.Sprintf("%q", text))
		}
		if err := p.advance(); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) at(symbol string) bool {
	return p.token.kind == kindSymbol && p.token.text == symbol
}

func (p *parser) advance() (err error) {
	p.token, err = p.lexer.next()
	return err
}

func (p *parser) expected(what string) error {
	return syntaxError(p.token.pos, what, p.token.String())
}
