// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"calico-cni/pkg/netstate"
)

// Expr is an expression of a rule in the form in which the kernel receives it. Expressions compare with ==.
type Expr string

// expr encodes an expression.
func expr(name string, attributes ...[]byte) Expr {
	return Expr(append(attrText(unix.NFTA_EXPR_NAME, name), nested(unix.NFTA_EXPR_DATA, attributes...)...))
}

// Registers. The kernel has four of 16 bytes each.
const (
	reg1 = unix.NFT_REG_1
	reg2 = unix.NFT_REG_2
	reg3 = unix.NFT_REG_3
)

// load stores metadata of the packet in the first register.
func load(key uint32) Expr {
	return expr("meta", attr32(unix.NFTA_META_KEY, key), attr32(unix.NFTA_META_DREG, reg1))
}

// compare continues with the next expression if the first register compares with a value.
func compare(op uint32, value []byte) Expr {
	return expr("cmp", attr32(unix.NFTA_CMP_SREG, reg1), attr32(unix.NFTA_CMP_OP, op),
		nested(unix.NFTA_CMP_DATA, attr(unix.NFTA_DATA_VALUE, value)))
}

// payload stores bytes of the packet in the first register.
func payload(base, offset, length uint32) Expr {
	return expr("payload", attr32(unix.NFTA_PAYLOAD_DREG, reg1), attr32(unix.NFTA_PAYLOAD_BASE, base),
		attr32(unix.NFTA_PAYLOAD_OFFSET, offset), attr32(unix.NFTA_PAYLOAD_LEN, length))
}

// immediate stores a value in a register.
func immediate(reg uint32, value []byte) Expr {
	return expr("immediate", attr32(unix.NFTA_IMMEDIATE_DREG, reg),
		nested(unix.NFTA_IMMEDIATE_DATA, attr(unix.NFTA_DATA_VALUE, value)))
}

// verdict ends the rule.
func verdict(code int32, more ...[]byte) Expr {
	return expr("immediate", attr32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT), nested(unix.NFTA_IMMEDIATE_DATA,
		nested(unix.NFTA_DATA_VERDICT, append([][]byte{attr32(unix.NFTA_VERDICT_CODE, uint32(code))}, more...)...)))
}

// Jump continues in another chain, and returns to the next rule at its end.
func Jump(chain string) Expr { return verdict(unix.NFT_JUMP, attrText(unix.NFTA_VERDICT_CHAIN, chain)) }

// Drop drops the packet.
func Drop() Expr { return verdict(0) }

// Counter counts packets and bytes.
func Counter() Expr { return expr("counter") }

// NoTrack exempts the packet from connection tracking.
func NoTrack() Expr { return Expr(attrText(unix.NFTA_EXPR_NAME, "notrack")) }

// IPv6 matches packets of a family: IPv6 or IPv4.
func IPv6(v6 bool) []Expr {
	family := byte(unix.NFPROTO_IPV4)
	if v6 {
		family = unix.NFPROTO_IPV6
	}
	return []Expr{load(unix.NFT_META_NFPROTO), compare(unix.NFT_CMP_EQ, []byte{family})}
}

// Protocol matches packets of a transport protocol.
func Protocol(number byte) []Expr {
	return []Expr{load(unix.NFT_META_L4PROTO), compare(unix.NFT_CMP_EQ, []byte{number})}
}

// DestPort matches the destination port of TCP, UDP and SCTP. Match the protocol before.
func DestPort(port uint16) []Expr {
	const offset, length = 2, 2
	return []Expr{
		payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, offset, length),
		compare(unix.NFT_CMP_EQ, binary.BigEndian.AppendUint16(nil, port)),
	}
}

// VNI matches the network identifier of a VXLAN packet. Match the protocol and the port before.
func VNI(vni uint32) []Expr {
	const offset, length = 12, 3
	return []Expr{
		payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, offset, length),
		compare(unix.NFT_CMP_EQ, binary.BigEndian.AppendUint32(nil, vni)[1:]),
	}
}

// InInterface matches the incoming interface, by name or by prefix.
func InInterface(name string, prefix bool) []Expr {
	return []Expr{load(unix.NFT_META_IIFNAME), compare(unix.NFT_CMP_EQ, ifName(name, prefix))}
}

// OutInterface matches the outgoing interface, by name or by prefix.
func OutInterface(name string, prefix bool) []Expr {
	return []Expr{load(unix.NFT_META_OIFNAME), compare(unix.NFT_CMP_EQ, ifName(name, prefix))}
}

func ifName(name string, prefix bool) []byte {
	if prefix {
		return []byte(name)
	}
	return append([]byte(name), make([]byte, unix.IFNAMSIZ-len(name))...)
}

// The positions of addresses in the headers of IPv4 and IPv6.
const (
	source4, dest4, size4 = 12, 16, 4
	source6, dest6, size6 = 8, 24, 16
)

// Source matches packets whose source address is, or is not, in a set. Match the family before.
func Source(v6 bool, set string, in bool) []Expr {
	if v6 {
		return lookUp(source6, size6, set, in)
	}
	return lookUp(source4, size4, set, in)
}

// Dest matches packets whose destination address is, or is not, in a set. Match the family before.
func Dest(v6 bool, set string, in bool) []Expr {
	if v6 {
		return lookUp(dest6, size6, set, in)
	}
	return lookUp(dest4, size4, set, in)
}

func lookUp(offset, size uint32, set string, in bool) []Expr {
	flags := uint32(0)
	if !in {
		flags = unix.NFT_LOOKUP_F_INV
	}
	return []Expr{
		payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, size),
		expr("lookup", attrText(unix.NFTA_LOOKUP_SET, set), attr32(unix.NFTA_LOOKUP_SREG, reg1),
			attr32(unix.NFTA_LOOKUP_FLAGS, flags)),
	}
}

// LocalSource matches packets whose source address is an address of this host, on the outgoing interface or on any.
func LocalSource(onOutInterface, is bool) []Expr {
	flags, op := uint32(unix.NFTA_FIB_F_SADDR), uint32(unix.NFT_CMP_EQ)
	if onOutInterface {
		flags |= unix.NFTA_FIB_F_OIF
	}
	if !is {
		op = unix.NFT_CMP_NEQ
	}
	// The type is in the byte order of the host.
	local := binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)
	return []Expr{
		expr("fib", attr32(unix.NFTA_FIB_DREG, reg1), attr32(unix.NFTA_FIB_RESULT, unix.NFT_FIB_RESULT_ADDRTYPE),
			attr32(unix.NFTA_FIB_FLAGS, flags)),
		compare(op, local),
	}
}

// Flags of a translation: the range of ports is given; ports are random.
const (
	flagPorts       = 0x2
	flagFullyRandom = 0x10
)

// Masquerade replaces the source address with that of the outgoing interface. Ports are random, within the range unless
// it is zero.
func Masquerade(ports netstate.PortRange) []Expr {
	if ports == (netstate.PortRange{}) {
		return []Expr{expr("masq", attr32(unix.NFTA_MASQ_FLAGS, flagFullyRandom))}
	}
	return append(loadPorts(ports),
		expr("masq", attr32(unix.NFTA_MASQ_FLAGS, flagFullyRandom|flagPorts),
			attr32(unix.NFTA_MASQ_REG_PROTO_MIN, reg2), attr32(unix.NFTA_MASQ_REG_PROTO_MAX, reg3)))
}

// SNAT replaces the source address. Ports are random, within the range unless it is zero.
func SNAT(addr netip.Addr, ports netstate.PortRange) []Expr {
	family := uint32(unix.NFPROTO_IPV4)
	if addr.Is6() {
		family = unix.NFPROTO_IPV6
	}
	attributes := [][]byte{
		attr32(unix.NFTA_NAT_TYPE, unix.NFT_NAT_SNAT), attr32(unix.NFTA_NAT_FAMILY, family),
		attr32(unix.NFTA_NAT_REG_ADDR_MIN, reg1), attr32(unix.NFTA_NAT_REG_ADDR_MAX, reg1),
	}
	exprs, flags := []Expr{immediate(reg1, addr.AsSlice())}, uint32(flagFullyRandom)
	if ports != (netstate.PortRange{}) {
		exprs = append(exprs, loadPorts(ports)...)
		flags |= flagPorts
		attributes = append(attributes, attr32(unix.NFTA_NAT_REG_PROTO_MIN, reg2),
			attr32(unix.NFTA_NAT_REG_PROTO_MAX, reg3))
	}
	return append(exprs, expr("nat", append(attributes, attr32(unix.NFTA_NAT_FLAGS, flags))...))
}

func loadPorts(ports netstate.PortRange) []Expr {
	return []Expr{
		immediate(reg2, binary.BigEndian.AppendUint16(nil, ports.First)),
		immediate(reg3, binary.BigEndian.AppendUint16(nil, ports.Last)),
	}
}

// Refers returns the name of the set or of the chain to which the expression refers, "" if there is none.
func (e Expr) Refers() (set, chain string) {
	all, err := parse([]byte(e))
	if err != nil {
		return "", ""
	}
	data, err := parse(all[unix.NFTA_EXPR_DATA])
	if err != nil {
		return "", ""
	}
	switch all.text(unix.NFTA_EXPR_NAME) {
	case "lookup":
		return data.text(unix.NFTA_LOOKUP_SET), ""
	case "immediate":
		value, err := parse(data[unix.NFTA_IMMEDIATE_DATA])
		if err != nil {
			return "", ""
		}
		if target, err := parse(value[unix.NFTA_DATA_VERDICT]); err == nil {
			return "", target.text(unix.NFTA_VERDICT_CHAIN)
		}
	}
	return "", ""
}
