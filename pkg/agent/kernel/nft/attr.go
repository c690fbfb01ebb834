// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"encoding/binary"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// attr encodes an attribute of netlink(7). nf_tables has all numbers in network byte order.
func attr(kind int, value []byte) []byte { return nl.NewRtAttr(kind, value).Serialize() }

// attrText encodes a text.
func attrText(kind int, value string) []byte { return attr(kind, nl.ZeroTerminated(value)) }

// attr32 encodes a number.
func attr32(kind int, value uint32) []byte {
	return attr(kind, binary.BigEndian.AppendUint32(nil, value))
}

// nested encodes an attribute that consists of attributes.
func nested(kind int, children ...[]byte) []byte {
	var all []byte
	for _, c := range children {
		all = append(all, c...)
	}
	return attr(kind|unix.NLA_F_NESTED, all)
}

// attrs are the attributes of a message by kind.
type attrs map[int][]byte

// parse returns the attributes in a message.
func parse(data []byte) (attrs, error) {
	list, err := nl.ParseRouteAttr(data)
	if err != nil {
		return nil, err
	}
	all := attrs{}
	for _, a := range list {
		all[int(a.Attr.Type)&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER)] = a.Value
	}
	return all, nil
}

// text returns an attribute as a text, "" if it is missing.
func (a attrs) text(kind int) string {
	value := a[kind]
	if len(value) > 0 && value[len(value)-1] == 0 {
		value = value[:len(value)-1]
	}
	return string(value)
}

// number returns an attribute as a number, 0 if it is missing.
func (a attrs) number(kind int) uint32 {
	if len(a[kind]) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(a[kind])
}
