// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"net/netip"
	"strings"
)

// maxKept bounds how many blocks of other nodes a walk keeps to take over, and how many to borrow from.
const maxKept = 16

// usedBlocks are the blocks of other owners that a walk has read.
type usedBlocks struct {
	plan *plan
	want Want
	// idle are empty blocks of other nodes, which may be taken over. lenders are blocks of other nodes that have room.
	idle    []netip.Prefix
	lenders []place
	// incomplete are blocks of the node without an affinity, which an interrupted claim or take-over leaves.
	incomplete []netip.Prefix
	// malformed has the errors of malformed blocks.
	malformed map[netip.Prefix]error
	// free is the number of free addresses in the other blocks.
	free int
}

// note records a block that was read.
func (u *usedBlocks) note(cidr netip.Prefix, read readResult) {
	b := read.row.Value
	if read.err != nil {
		// The addresses of a malformed block may be in use.
		u.malformed[cidr] = read.err
		return
	}
	if b.Affinity == hostAffinity(u.plan.own.node) {
		u.incomplete = append(u.incomplete, cidr)
		return
	}
	otherOwner := b.Affinity != "" && !strings.HasPrefix(b.Affinity, hostPrefix)
	if otherOwner || b.Validate() != nil {
		return
	}
	u.free += u.plan.unavailable.add(u.plan.picker, b)
	if u.plan.backend.idle(b) && len(u.idle) < maxKept {
		u.idle = append(u.idle, cidr)
	}
	at := place{want: u.want, cidr: cidr, row: read.row}
	if len(u.lenders) < maxKept && u.plan.picker.room(at) == nil {
		u.lenders = append(u.lenders, at)
	}
}
