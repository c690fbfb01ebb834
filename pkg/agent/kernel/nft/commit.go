// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Commit makes a transaction.
func (c *Conn) Commit(tx Transaction) error {
	var b builder
	if tx.DeleteTable {
		b.add(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, "create table", attrText(unix.NFTA_TABLE_NAME, Table))
		b.add(unix.NFT_MSG_DELTABLE, 0, "delete table", attrText(unix.NFTA_TABLE_NAME, Table))
		return c.commit(b.messages)
	}
	b.add(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, "create table", attrText(unix.NFTA_TABLE_NAME, Table))
	b.needs("nf_tables")
	for _, name := range tx.DeleteChains {
		b.add(unix.NFT_MSG_DELRULE, 0, "delete rules of "+name,
			attrText(unix.NFTA_RULE_TABLE, Table), attrText(unix.NFTA_RULE_CHAIN, name))
	}
	for _, name := range tx.DeleteChains {
		b.add(unix.NFT_MSG_DELCHAIN, 0, "delete chain "+name,
			attrText(unix.NFTA_CHAIN_TABLE, Table), attrText(unix.NFTA_CHAIN_NAME, name))
	}
	for _, name := range tx.DeleteSets {
		b.add(unix.NFT_MSG_DELSET, 0, "delete set "+name,
			attrText(unix.NFTA_SET_TABLE, Table), attrText(unix.NFTA_SET_NAME, name))
	}
	for _, s := range tx.Sets {
		b.createSet(s)
		b.elements(unix.NFT_MSG_NEWSETELEM, "add elements to set ", s)
	}
	for _, s := range tx.DeleteRanges {
		b.elements(unix.NFT_MSG_DELSETELEM, "delete elements from set ", s)
	}
	for _, s := range tx.AddRanges {
		b.elements(unix.NFT_MSG_NEWSETELEM, "add elements to set ", s)
	}
	for _, chain := range tx.Chains {
		b.createChain(chain)
	}
	for _, chain := range tx.Chains {
		for _, r := range chain.Rules {
			b.createRule(chain.Name, r)
		}
	}
	return c.commit(b.messages)
}

// builder collects the messages of a transaction.
type builder struct{ messages []message }

func (b *builder) add(kind, flags uint16, what string, attributes ...[]byte) {
	var data []byte
	for _, a := range attributes {
		data = append(data, a...)
	}
	b.messages = append(b.messages, message{kind: kind, flags: flags, what: what, data: data})
}

// needs names the modules of the kernel without which it refuses the last message.
func (b *builder) needs(modules string) { b.messages[len(b.messages)-1].modules = modules }

// Data types of nft(8).
const (
	typeIPv4 = 7
	typeIPv6 = 8
)

func (b *builder) createSet(s Set) {
	kind, size, flags := uint32(typeIPv4), uint32(size4), uint32(0)
	if s.V6 {
		kind, size = typeIPv6, size6
	}
	if s.Intervals {
		flags = unix.NFT_SET_INTERVAL
	}
	b.add(unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE|unix.NLM_F_EXCL, "create set "+s.Name,
		attrText(unix.NFTA_SET_TABLE, Table), attrText(unix.NFTA_SET_NAME, s.Name), attr32(unix.NFTA_SET_FLAGS, flags),
		attr32(unix.NFTA_SET_KEY_TYPE, kind), attr32(unix.NFTA_SET_KEY_LEN, size),
		attr32(unix.NFTA_SET_ID, uint32(len(b.messages))), attr(unix.NFTA_SET_USERDATA, []byte(bigEndianKeys)))
}

// bigEndianKeys is the user data that makes nft(8) show the keys of a set correctly.
const bigEndianKeys = "\x00\x04\x02\x00\x00\x00"

// mostElements bounds the elements of one message: an attribute has at most 64 KiB.
const mostElements = 500

func (b *builder) elements(kind uint16, what string, s Set) {
	for rest := s.Ranges; len(rest) > 0; {
		n := min(len(rest), mostElements)
		var list [][]byte
		for _, r := range rest[:n] {
			list = append(list, element(r.From, 0))
			if end := r.To.Next(); s.Intervals && end.IsValid() {
				list = append(list, element(end, unix.NFT_SET_ELEM_INTERVAL_END))
			}
		}
		b.add(kind, unix.NLM_F_CREATE, what+s.Name, attrText(unix.NFTA_SET_ELEM_LIST_TABLE, Table),
			attrText(unix.NFTA_SET_ELEM_LIST_SET, s.Name), nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS, list...))
		rest = rest[n:]
	}
}

func element(key netip.Addr, flags uint32) []byte {
	parts := [][]byte{nested(unix.NFTA_SET_ELEM_KEY, attr(unix.NFTA_DATA_VALUE, key.AsSlice()))}
	if flags != 0 {
		parts = append(parts, attr32(unix.NFTA_SET_ELEM_FLAGS, flags))
	}
	return nested(unix.NFTA_LIST_ELEM, parts...)
}

func (b *builder) createChain(c Chain) {
	attributes := [][]byte{attrText(unix.NFTA_CHAIN_TABLE, Table), attrText(unix.NFTA_CHAIN_NAME, c.Name)}
	if c.Base {
		const accept = 1
		attributes = append(attributes, nested(unix.NFTA_CHAIN_HOOK, attr32(unix.NFTA_HOOK_HOOKNUM, c.Hook.Number),
			attr32(unix.NFTA_HOOK_PRIORITY, uint32(c.Hook.Priority))),
			attr32(unix.NFTA_CHAIN_POLICY, accept), attrText(unix.NFTA_CHAIN_TYPE, c.Hook.Type))
	}
	b.add(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE|unix.NLM_F_EXCL, "create chain "+c.Name, attributes...)
	if c.Base {
		b.needs("nft_chain_nat")
	}
}

// commentType is the type of a comment in the user data of a rule.
const commentType = 0

func (b *builder) createRule(chain string, r Rule) {
	var list [][]byte
	for _, e := range r.Exprs {
		list = append(list, nested(unix.NFTA_LIST_ELEM, []byte(e)))
	}
	comment := append([]byte(r.Tag), 0)
	b.add(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, "create rule "+r.Tag+" of chain "+chain,
		attrText(unix.NFTA_RULE_TABLE, Table), attrText(unix.NFTA_RULE_CHAIN, chain),
		nested(unix.NFTA_RULE_EXPRESSIONS, list...),
		attr(unix.NFTA_RULE_USERDATA, append([]byte{commentType, byte(len(comment))}, comment...)))
	b.needs("nft_masq, nft_nat, nft_fib_inet or nft_ct")
}
