package ipam

import (
	"fmt"
	"net/netip"
	"time"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/pool"
)

// leftovers are addresses that nobody holds and that a search could not give, in the blocks that it read.
type leftovers struct {
	seen              map[netip.Prefix]bool
	cooling, reserved int
}

// add counts those of a block, once, and returns how many of its addresses are free and not reserved.
func (l *leftovers) add(b block.Block, reserved pool.Ranges) (free int) {
	aside := 0
	for _, ordinal := range b.Unallocated {
		if reserved.Contains(b.Addr(ordinal)) {
			aside++
		}
	}
	if l.seen == nil {
		l.seen = map[netip.Prefix]bool{}
	}
	if !l.seen[b.CIDR] {
		l.seen[b.CIDR] = true
		l.cooling, l.reserved = l.cooling+b.Usage().Cooling, l.reserved+aside
	}
	return len(b.Unallocated) - aside
}

// reasons says how many there are and what makes them available.
func (l *leftovers) reasons(cooldown time.Duration) (out []string) {
	if l.cooling > 0 {
		out = append(out, fmt.Sprintf("%d released addresses of these blocks are in their cooldown "+
			"(retry; IPAMConfig.ipCooldownSeconds is %d)", l.cooling, int(cooldown.Seconds())))
	}
	if l.reserved > 0 {
		out = append(out, fmt.Sprintf("%d free addresses of these blocks are reserved (shrink an IPReservation)", l.reserved))
	}
	return out
}
