// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"net/netip"
	"time"

	"calico-cni/pkg/ipam/block"
)

// unavailable counts the addresses that are neither allocated nor available, in the blocks that a search has read.
type unavailable struct {
	seen map[netip.Prefix]bool
	// notForHosts counts network, broadcast and anycast addresses that are not reserved.
	cooling, reserved, notForHosts int
}

// add counts the addresses of a block after the cooldowns that are over, once per block. It returns how many addresses
// the picker could pick.
func (u *unavailable) add(p picker, b block.Block) (free int) {
	b = p.thawed(b)
	reserved, notForHosts := 0, 0
	for _, ordinal := range b.Unallocated {
		switch addr := b.Addr(ordinal); {
		case p.reserved.Contains(addr):
			reserved++
		case p.notForHosts(b.CIDR, addr):
			notForHosts++
		}
	}
	if u.seen == nil {
		u.seen = map[netip.Prefix]bool{}
	}
	if !u.seen[b.CIDR] {
		u.seen[b.CIDR] = true
		u.cooling += b.Usage().Cooling
		u.reserved += reserved
		u.notForHosts += notForHosts
	}
	return len(b.Unallocated) - reserved - notForHosts
}

// reasons says how many addresses are unavailable, with the remedies.
func (u *unavailable) reasons(cooldown time.Duration) (out []string) {
	if u.cooling > 0 {
		out = append(out, fmt.Sprintf("%d released addresses of these blocks are in their cooldown "+
			"(retry; IPAMConfig.ipCooldownSeconds is %d)", u.cooling, int(cooldown.Seconds())))
	}
	if u.reserved > 0 {
		out = append(out, fmt.Sprintf("%d free addresses of these blocks are reserved (shrink an IPReservation)", u.reserved))
	}
	if u.notForHosts > 0 {
		out = append(out, fmt.Sprintf("%d free addresses of these blocks are network, broadcast or anycast addresses, which "+
			"only the main plugin calico can use (add an IPPool)", u.notForHosts))
	}
	return out
}
