// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// message is one netlink message of nf_tables.
type message struct {
	kind  uint16 // NFT_MSG_...
	flags uint16
	data  []byte
	// what names the change in errors, and modules those that it needs.
	what, modules string
}

const (
	// sendBuffer is for one transaction. The kernel charges more than the length.
	sendBuffer = 16 << 20
	// receiveBuffer is for the errors of one transaction.
	receiveBuffer = 1 << 20
	// maxMessage is the most that the kernel returns at once.
	maxMessage = 64 << 10
	genHeader  = 4
)

// errInterrupted is a dump during which the ruleset changed.
var errInterrupted = errors.New("the ruleset changed during the listing")

// Conn is a socket of a network namespace. It has one user at a time.
type Conn struct {
	fd     int
	seq    uint32
	buffer []byte
}

// Open opens the network namespace of the calling thread. The caller closes it.
func Open() (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, explain(fmt.Errorf("open netfilter socket: %w", err), "nf_tables")
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind netfilter socket: %w", err)
	}
	for option, size := range map[int]int{unix.SO_SNDBUFFORCE: sendBuffer, unix.SO_RCVBUFFORCE: receiveBuffer} {
		// Without CAP_NET_ADMIN the transaction fails anyway.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, size)
	}
	return &Conn{fd: fd, buffer: make([]byte, maxMessage)}, nil
}

// Close closes the socket.
func (c *Conn) Close() { unix.Close(c.fd) }

// encode appends a message.
func (c *Conn) encode(b []byte, kind, flags uint16, family byte, resource uint16, data []byte) []byte {
	c.seq++
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.NLMSG_HDRLEN+genHeader+len(data)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags|unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, c.seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = append(b, family, unix.NFNETLINK_V0)
	b = binary.BigEndian.AppendUint16(b, resource)
	return append(b, data...)
}

func kindOf(kind uint16) uint16 { return unix.NFNL_SUBSYS_NFTABLES<<8 | kind }

// commit makes all changes, or none.
func (c *Conn) commit(messages []message) error {
	b := c.encode(nil, unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)
	first := c.seq + 1
	for i, m := range messages {
		flags := m.flags
		if i == len(messages)-1 {
			// One answer is enough: the kernel returns errors in any case.
			flags |= unix.NLM_F_ACK
		}
		b = c.encode(b, kindOf(m.kind), flags, unix.NFPROTO_INET, 0, m.data)
	}
	b = c.encode(b, unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)
	if err := unix.Sendto(c.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("send transaction: %w", err)
	}
	return c.answers(func(m syscall.NetlinkMessage) (bool, error) {
		if m.Header.Seq < first-1 {
			return false, nil // The end of an earlier answer.
		}
		i, err := int(m.Header.Seq)-int(first), errorOf(m)
		switch {
		case err != nil && i >= 0 && i < len(messages):
			return true, explain(fmt.Errorf("%s: %w", messages[i].what, err), messages[i].modules)
		case err != nil:
			return true, explain(err, "nf_tables")
		}
		return i == len(messages)-1, nil
	})
}

// request sends one message and calls each for each answer.
func (c *Conn) request(kind, flags uint16, data []byte, each func(attrs) error) error {
	b := c.encode(nil, kindOf(kind), flags, unix.NFPROTO_INET, 0, data)
	seq, dump := c.seq, flags&unix.NLM_F_DUMP != 0
	if err := unix.Sendto(c.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	interrupted := false
	err := c.answers(func(m syscall.NetlinkMessage) (bool, error) {
		if m.Header.Seq != seq {
			return false, nil // The end of an earlier answer.
		}
		interrupted = interrupted || m.Header.Flags&unix.NLM_F_DUMP_INTR != 0
		switch m.Header.Type {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			return true, errorOf(m)
		}
		if len(m.Data) < genHeader {
			return true, fmt.Errorf("answer of %d bytes", len(m.Data))
		}
		all, err := parse(m.Data[genHeader:])
		if err == nil {
			err = each(all)
		}
		return !dump, err
	})
	if err == nil && interrupted {
		return errInterrupted
	}
	return err
}

// answers calls each for each message until it says that it was the last one.
func (c *Conn) answers(each func(syscall.NetlinkMessage) (last bool, err error)) error {
	for {
		n, _, err := unix.Recvfrom(c.fd, c.buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("receive answer: %w", err)
		}
		messages, err := syscall.ParseNetlinkMessage(c.buffer[:n])
		if err != nil {
			return fmt.Errorf("parse answer: %w", err)
		}
		for _, m := range messages {
			if last, err := each(m); last || err != nil {
				return err
			}
		}
	}
}

// errorOf returns the error in an answer.
func errorOf(m syscall.NetlinkMessage) error {
	if m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
		return nil
	}
	if code := int32(binary.NativeEndian.Uint32(m.Data)); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

// explain adds the remedy to the error of a kernel that lacks a module.
func explain(err error, modules string) error {
	for _, missing := range []error{unix.EOPNOTSUPP, unix.EPROTONOSUPPORT, unix.ENOENT, unix.EAFNOSUPPORT} {
		if modules != "" && errors.Is(err, missing) {
			return fmt.Errorf("%w: the kernel may lack a module: load %s (modprobe)", err, modules)
		}
	}
	return err
}
