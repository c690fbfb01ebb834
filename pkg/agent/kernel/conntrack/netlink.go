// SPDX-License-Identifier: Apache-2.0

package conntrack

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Netlink is the connection tracking table of a network namespace.
type Netlink struct {
	socket  *nl.NetlinkSocket
	sockets map[int]*nl.SocketHandle
}

// Open opens the network namespace of the calling thread. The caller closes it.
func Open() (*Netlink, error) {
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("open netfilter socket: %w", err)
	}
	return &Netlink{socket: socket, sockets: map[int]*nl.SocketHandle{unix.NETLINK_NETFILTER: {Socket: socket}}}, nil
}

// Close closes the socket.
func (n *Netlink) Close() { n.socket.Close() }

// mostDumps bounds how often an interrupted listing is repeated.
const mostDumps = 5

// Delete deletes the entries whose source address in the original or in the reply direction is one of addrs. It keeps
// only those entries of the table in memory.
func (n *Netlink) Delete(addrs map[netip.Addr]bool) (deleted int, err error) {
	for tries := 1; ; tries++ {
		found, interrupted, err := n.list(addrs)
		if err != nil {
			return deleted, err
		}
		for _, e := range found {
			switch err := n.remove(e); {
			case errors.Is(err, unix.ENOENT):
			case err != nil:
				return deleted, fmt.Errorf("delete entry: %w", err)
			default:
				deleted++
			}
		}
		switch {
		case !interrupted:
			return deleted, nil
		case tries == mostDumps:
			return deleted, netlink.ErrDumpInterrupted
		}
	}
}

// entry identifies an entry.
type entry struct {
	family byte
	// attributes are the original tuple, the zone and the ID, as the kernel returned them.
	attributes []*nl.RtAttr
}

// list returns the entries of addresses. An interrupted listing is incomplete, but each of its entries exists.
func (n *Netlink) list(addrs map[netip.Addr]bool) (found []entry, interrupted bool, err error) {
	var parseErr error
	req := n.request(nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP, unix.AF_UNSPEC)
	err = req.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(m []byte) bool {
		if len(m) < nl.SizeofNfgenmsg {
			return true
		}
		e, matches, err := match(m, addrs)
		if err != nil {
			parseErr = err
			return false
		}
		if matches {
			found = append(found, e)
		}
		return true
	})
	switch {
	case parseErr != nil:
		return nil, false, fmt.Errorf("parse entry: %w", parseErr)
	case errors.Is(err, netlink.ErrDumpInterrupted):
		return found, true, nil
	case err != nil:
		return nil, false, fmt.Errorf("list entries: %w", err)
	}
	return found, false, nil
}

// match returns an entry of a listing if one of its sources is in addrs.
func match(m []byte, addrs map[netip.Addr]bool) (e entry, matches bool, err error) {
	attributes, err := nl.ParseRouteAttr(m[nl.SizeofNfgenmsg:])
	if err != nil {
		return entry{}, false, err
	}
	e.family = m[0]
	for _, a := range attributes {
		switch kind := int(a.Attr.Type) &^ unix.NLA_F_NESTED; kind {
		case nl.CTA_TUPLE_ORIG, nl.CTA_TUPLE_REPLY:
			matches = matches || addrs[source(a.Value)]
			if kind == nl.CTA_TUPLE_ORIG {
				e.attributes = append(e.attributes, nl.NewRtAttr(kind|unix.NLA_F_NESTED, append([]byte(nil), a.Value...)))
			}
		case nl.CTA_ZONE, nl.CTA_ID:
			e.attributes = append(e.attributes, nl.NewRtAttr(kind, append([]byte(nil), a.Value...)))
		}
	}
	return e, matches, nil
}

// source returns the source address of a tuple, the zero value if it has none.
func source(tuple []byte) netip.Addr {
	parts, err := nl.ParseRouteAttr(tuple)
	if err != nil {
		return netip.Addr{}
	}
	for _, part := range parts {
		if int(part.Attr.Type)&^unix.NLA_F_NESTED != nl.CTA_TUPLE_IP {
			continue
		}
		addrs, err := nl.ParseRouteAttr(part.Value)
		if err != nil {
			return netip.Addr{}
		}
		for _, a := range addrs {
			if a.Attr.Type == nl.CTA_IP_V4_SRC || a.Attr.Type == nl.CTA_IP_V6_SRC {
				addr, _ := netip.AddrFromSlice(a.Value)
				return addr
			}
		}
	}
	return netip.Addr{}
}

// remove deletes an entry.
func (n *Netlink) remove(e entry) error {
	req := n.request(nl.IPCTNL_MSG_CT_DELETE, unix.NLM_F_ACK, e.family)
	for _, a := range e.attributes {
		req.AddData(a)
	}
	_, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	return err
}

func (n *Netlink) request(kind, flags int, family byte) *nl.NetlinkRequest {
	const subsystem = 1 // NFNL_SUBSYS_CTNETLINK
	req := nl.NewNetlinkRequest(subsystem<<8|kind, flags)
	req.Sockets = n.sockets
	req.AddData(&nl.Nfgenmsg{NfgenFamily: family, Version: nl.NFNETLINK_V0})
	return req
}
