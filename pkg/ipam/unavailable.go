// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"net/netip"
	"time"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// unavailable counts the addresses that are neither allocated nor available, in the blocks that a search has read.
type unavailable struct {
	seen              map[netip.Prefix]bool
	cooling, reserved int
}

// add counts the addresses of a block after the cooldowns that are over, once per block. It returns how many addresses
// are free and not reserved.
func (u *unavailable) add(b block.Block, reservations pool.Ranges) (free int) {
	reserved := 0
	for _, ordinal := range b.Unallocated {
		if reservations.Contains(b.Addr(ordinal)) {
			reserved++
		}
	}
	if u.seen == nil {
		u.seen = map[netip.Prefix]bool{}
	}
	if !u.seen[b.CIDR] {
		u.seen[b.CIDR] = true
		u.cooling += b.Usage().Cooling
		u.reserved += reserved
	}
	return len(b.Unallocated) - reserved
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
	return out
}
