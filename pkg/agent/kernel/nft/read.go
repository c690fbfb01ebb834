// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Generation returns the number of the ruleset. Each transaction of any program increments it.
func (c *Conn) Generation() (generation uint32, err error) {
	err = c.request(unix.NFT_MSG_GETGEN, 0, nil, func(a attrs) error {
		generation = a.number(unix.NFTA_GEN_ID)
		return nil
	})
	if err != nil {
		return 0, explain(fmt.Errorf("read generation of the ruleset: %w", err), "nf_tables")
	}
	return generation, nil
}

// mostReads bounds how often Read starts again because another program has changed the ruleset.
const mostReads = 20

// Read returns the chains and sets of the table whose names start with one of the prefixes. Rules have a tag only.
func (c *Conn) Read(prefixes []string) (Ruleset, error) {
	for tries := 1; ; tries++ {
		before, err := c.Generation()
		if err != nil {
			return Ruleset{}, err
		}
		rules, err := c.read(prefixes)
		if err != nil && !errors.Is(err, errInterrupted) {
			return Ruleset{}, err
		}
		after, genErr := c.Generation()
		switch {
		case genErr != nil:
			return Ruleset{}, genErr
		case err == nil && before == after:
			return rules, nil
		case tries == mostReads:
			return Ruleset{}, errInterrupted
		}
	}
}

func (c *Conn) read(prefixes []string) (Ruleset, error) {
	var all Ruleset
	ours := func(name string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	err := c.request(unix.NFT_MSG_GETCHAIN, unix.NLM_F_DUMP, nil, func(a attrs) error {
		if a.text(unix.NFTA_CHAIN_TABLE) == Table && ours(a.text(unix.NFTA_CHAIN_NAME)) {
			chain, err := chainOf(a)
			all.Chains = append(all.Chains, chain)
			return err
		}
		return nil
	})
	if err != nil {
		return Ruleset{}, fmt.Errorf("list chains: %w", err)
	}
	slices.SortFunc(all.Chains, func(a, b Chain) int { return strings.Compare(a.Name, b.Name) })
	for i := range all.Chains {
		if err := c.readRules(&all.Chains[i]); err != nil {
			return Ruleset{}, err
		}
	}
	err = c.request(unix.NFT_MSG_GETSET, unix.NLM_F_DUMP, attrText(unix.NFTA_SET_TABLE, Table), func(a attrs) error {
		if a.text(unix.NFTA_SET_TABLE) == Table && ours(a.text(unix.NFTA_SET_NAME)) {
			all.Sets = append(all.Sets, Set{
				Name: a.text(unix.NFTA_SET_NAME), V6: a.number(unix.NFTA_SET_KEY_LEN) == size6,
				Intervals: a.number(unix.NFTA_SET_FLAGS)&unix.NFT_SET_INTERVAL != 0,
			})
		}
		return nil
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return Ruleset{}, fmt.Errorf("list sets: %w", err)
	}
	slices.SortFunc(all.Sets, func(a, b Set) int { return strings.Compare(a.Name, b.Name) })
	for i := range all.Sets {
		if err := c.readElements(&all.Sets[i]); err != nil {
			return Ruleset{}, err
		}
	}
	return all, nil
}

func chainOf(a attrs) (Chain, error) {
	chain := Chain{Name: a.text(unix.NFTA_CHAIN_NAME)}
	if a[unix.NFTA_CHAIN_HOOK] == nil {
		return chain, nil
	}
	hook, err := parse(a[unix.NFTA_CHAIN_HOOK])
	if err != nil {
		return Chain{}, fmt.Errorf("parse hook of chain %s: %w", chain.Name, err)
	}
	chain.Base, chain.Hook = true, Hook{
		Type: a.text(unix.NFTA_CHAIN_TYPE), Number: hook.number(unix.NFTA_HOOK_HOOKNUM),
		Priority: int32(hook.number(unix.NFTA_HOOK_PRIORITY)),
	}
	return chain, nil
}

func (c *Conn) readRules(chain *Chain) error {
	data := append(attrText(unix.NFTA_RULE_TABLE, Table), attrText(unix.NFTA_RULE_CHAIN, chain.Name)...)
	err := c.request(unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP, data, func(a attrs) error {
		if a.text(unix.NFTA_RULE_TABLE) == Table && a.text(unix.NFTA_RULE_CHAIN) == chain.Name {
			chain.Rules = append(chain.Rules, Rule{Tag: comment(a[unix.NFTA_RULE_USERDATA])})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list rules of chain %s: %w", chain.Name, err)
	}
	return nil
}

// comment returns the comment in the user data of a rule, "" if there is none.
func comment(data []byte) string {
	const header = 2
	if len(data) < header || data[0] != commentType || len(data) < header+int(data[1]) {
		return ""
	}
	return strings.TrimRight(string(data[header:header+int(data[1])]), "\x00")
}

func (c *Conn) readElements(s *Set) error {
	var starts, ends []netip.Addr
	data := append(attrText(unix.NFTA_SET_ELEM_LIST_TABLE, Table), attrText(unix.NFTA_SET_ELEM_LIST_SET, s.Name)...)
	err := c.request(unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, data, func(a attrs) error {
		return elements(a[unix.NFTA_SET_ELEM_LIST_ELEMENTS], func(key netip.Addr, flags uint32) {
			if flags&unix.NFT_SET_ELEM_INTERVAL_END != 0 {
				ends = append(ends, key)
			} else {
				starts = append(starts, key)
			}
		})
	})
	if err != nil {
		return fmt.Errorf("list elements of set %s: %w", s.Name, err)
	}
	if !s.Intervals {
		s.Ranges = Singles(starts)
		return nil
	}
	s.Ranges = intervals(starts, ends)
	return nil
}

// intervals returns the ranges of a set. Each start has the next end, or the last address of the family.
func intervals(starts, ends []netip.Addr) (ranges []Range) {
	slices.SortFunc(starts, netip.Addr.Compare)
	slices.SortFunc(ends, netip.Addr.Compare)
	for _, from := range starts {
		to := last(netip.PrefixFrom(from, 0))
		for len(ends) > 0 && !from.Less(ends[0]) {
			ends = ends[1:]
		}
		if len(ends) > 0 {
			to = ends[0].Prev()
		}
		ranges = append(ranges, Range{from, to})
	}
	return ranges
}

// elements calls each for each element of a list. The list is not parsed by kind: all elements have the same one.
func elements(list []byte, each func(key netip.Addr, flags uint32)) error {
	for len(list) >= unix.NLA_HDRLEN {
		length := int(binary.NativeEndian.Uint16(list))
		if length < unix.NLA_HDRLEN || length > len(list) {
			return fmt.Errorf("element of %d bytes", length)
		}
		element, err := parse(list[unix.NLA_HDRLEN:length])
		if err != nil {
			return err
		}
		key, err := parse(element[unix.NFTA_SET_ELEM_KEY])
		if err != nil {
			return err
		}
		if addr, ok := netip.AddrFromSlice(key[unix.NFTA_DATA_VALUE]); ok {
			each(addr, element.number(unix.NFTA_SET_ELEM_FLAGS))
		}
		list = list[min((length+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1), len(list)):]
	}
	return nil
}
