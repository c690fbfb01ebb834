// SPDX-License-Identifier: Apache-2.0

package realhost

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// linkMTU returns the MTU of the link of the default route. The IPv4 route takes precedence.
func linkMTU() (int, error) {
	for _, table := range []struct {
		path string
		link func(io.Reader) string
	}{
		{"/proc/net/route", defaultLink4},
		{"/proc/net/ipv6_route", defaultLink6},
	} {
		f, err := os.Open(table.path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return 0, fmt.Errorf("read routes: %w", err)
		}
		name := table.link(f)
		_ = f.Close()
		if name == "" {
			continue
		}
		link, err := net.InterfaceByName(name)
		if err != nil {
			return 0, fmt.Errorf("inspect link %s: %w", name, err)
		}
		return link.MTU, nil
	}
	return 0, errors.New("there is no default route")
}

// defaultLink4 finds the link of the default route in the IPv4 table of the kernel: Iface, Destination, Gateway, Flags,
// RefCnt, Use, Metric, Mask (proc(5)). The kernel lists the preferred route first.
func defaultLink4(table io.Reader) string {
	for s := bufio.NewScanner(table); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) > 7 && f[1] == "00000000" && f[7] == "00000000" {
			return f[0]
		}
	}
	return ""
}

// defaultLink6 finds the link of the default route in the IPv6 table: destination and its length come first, the link
// last. It ignores the kernel's own unreachable route, which is on the loopback interface.
func defaultLink6(table io.Reader) string {
	for s := bufio.NewScanner(table); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) == 10 && f[0] == strings.Repeat("0", 32) && f[1] == "00" && f[9] != "lo" {
			return f[9]
		}
	}
	return ""
}
