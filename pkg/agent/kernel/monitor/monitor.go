// SPDX-License-Identifier: Apache-2.0

// Package monitor notices changes of links, addresses, routes and neighbours of the kernel, whoever makes them. It does
// not say what has changed: a driver reads the kernel again.
package monitor

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// groups are the multicast groups of rtnetlink(7) to which Watch subscribes.
var groups = []uint{
	unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH,
	unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
}

// Monitor is a subscription to changes.
type Monitor struct{ socket *nl.NetlinkSocket }

// Subscribe subscribes to changes in the network namespace of the calling thread. The caller runs the monitor.
func Subscribe() (*Monitor, error) {
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, groups...)
	if err != nil {
		return nil, fmt.Errorf("subscribe to changes of the kernel's network: %w", err)
	}
	return &Monitor{socket: socket}, nil
}

// Run calls changed after each change until the context ends or the subscription fails, and closes the monitor. It also
// calls changed when the kernel has dropped messages.
func (m *Monitor) Run(ctx context.Context, changed func()) error {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		m.socket.Close()
		close(closed)
	})
	defer func() {
		if stop() {
			m.socket.Close()
			return
		}
		<-closed
	}()
	for {
		messages, _, err := m.socket.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			// The kernel has dropped messages.
			changed()
			continue
		case err != nil:
			return fmt.Errorf("receive changes of the kernel's network: %w", err)
		}
		for _, message := range messages {
			if relevant(message.Header.Type, message.Data) {
				changed()
				break
			}
		}
	}
}

// Offsets in struct ndmsg and struct rtmsg.
const (
	neighStateOffset, neighSize = 8, 12
	routeFlagsOffset, routeSize = 8, 12
)

// relevant reports whether a message can concern the agent. The kernel updates other neighbours all the time, and
// clones IPv6 routes.
func relevant(kind uint16, data []byte) bool {
	switch kind {
	case unix.RTM_NEWNEIGH:
		// A deletion does not say whether the entry was permanent.
		return len(data) >= neighSize && nl.NativeEndian().Uint16(data[neighStateOffset:])&unix.NUD_PERMANENT != 0
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return len(data) >= routeSize && nl.NativeEndian().Uint32(data[routeFlagsOffset:])&unix.RTM_F_CLONED == 0
	}
	return true
}
