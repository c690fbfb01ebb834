package selector

import (
	"fmt"
	"slices"
)

// parser is recursive descent with one token of lookahead:
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

func parse(text string) (node, error) {
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

// chain reads operands between one operator, and flattens operands that are chains of the same operator themselves.
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

// comparison reads what follows a key.
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
	// Calico reads the two-word operators without their space, too.
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

// set reads "{", strings between commas, "}". The empty set is allowed.
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

// sequence reads these words or symbols, one after the other.
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

func unknownOperator(found token, key string) error {
	expected := fmt.Sprintf("after the key %q one of ==, !=, in, not in, contains, starts with, ends with", clip(key))
	return syntaxError(found.pos, expected, found.String())
}

func (p *parser) expected(what string) error {
	return syntaxError(p.token.pos, what, p.token.String())
}
