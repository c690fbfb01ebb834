// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/ipam/pool"
)

// shortage is the result of a walk through a pool that has no address for a want. Its methods explain the reason.
type shortage struct {
	pool pool.Pool
	// limit says why the node may claim no blocks, or is empty.
	limit string
	// bounded says that the walk stopped at its bound, after it had looked at this many blocks.
	bounded bool
	looked  int
	// inner are the pools inside of this one, others the blocks of another size than the pool's.
	inner, others []netip.Prefix
	reserved      pool.Ranges
	// malformed has the errors of malformed blocks.
	malformed map[netip.Prefix]error
	// unusable are free blocks without an address for the request.
	unusable []netip.Prefix
	// free is the number of addresses in blocks of other nodes. strict says that strict affinity forbids borrowing them.
	free   int
	strict bool
}

// shortage returns the result of the walk, after its end.
func (k *walk) shortage() shortage {
	return shortage{
		pool: k.pool, limit: k.limit, bounded: k.looked >= k.plan.maxLook, looked: k.looked,
		inner: k.pool.Inner(k.plan.pools.pools), others: k.otherSizes.blocks, reserved: k.plan.picker.reserved,
		malformed: k.used.malformed, unusable: k.unusable, free: k.used.free, strict: k.plan.config.StrictAffinity,
	}
}

// reason says why the pool has no address for the want, with the remedy.
func (s shortage) reason() string {
	switch {
	case s.limit != "":
		return s.limit + s.strictAffinity()
	case s.bounded:
		return fmt.Sprintf("no free block among the %d of %d looked at (retry, or add an IPPool)%s",
			s.looked, s.pool.Blocks(), s.strictAffinity())
	}
	return s.usage() + s.malformedReason() + s.strictAffinity()
}

// usage says how the blocks of the pool are used, after a walk through all of them, with the remedies.
func (s shortage) usage() string {
	all := s.pool.Blocks()
	unreserved := s.pool.Space(s.reserved, nil).Len()
	own := s.pool.Space(s.reserved, s.inner).Len()
	claimable := s.pool.Space(s.reserved, slices.Concat(s.inner, s.others)).Len()
	malformed := uint64(len(s.malformedBlocks()))
	unusable := uint64(len(slices.DeleteFunc(slices.Clone(s.unusable), s.isOverlapped)))
	var counts, remedies []string
	for _, part := range []struct {
		n             uint64
		state, remedy string
	}{
		{claimable - malformed - unusable, "taken", "free addresses"},
		{unusable, "without an address for this request", "shrink an IPReservation"},
		{malformed, "malformed", "repair the malformed blocks"},
		{own - claimable, "overlapped by blocks of another size", "resolve the overlaps"},
		{all - unreserved, "reserved", "shrink an IPReservation"},
		{unreserved - own, "in other pools", ""},
	} {
		if part.n == 0 {
			continue
		}
		counts = append(counts, fmt.Sprintf("%d %s", part.n, part.state))
		if part.remedy != "" {
			remedies = append(remedies, part.remedy)
		}
	}
	remedy := "add an IPPool"
	if len(remedies) > 0 {
		remedy = strings.Join(remedies, ", ") + ", or " + remedy
	}
	return fmt.Sprintf("all %d blocks of %s are in use: %s (%s)", all, s.pool.CIDR, strings.Join(counts, ", "), remedy)
}

// malformedBlocks returns the malformed blocks, sorted, without those that blocks of another size overlap.
func (s shortage) malformedBlocks() (cidrs []netip.Prefix) {
	for cidr := range s.malformed {
		if !s.isOverlapped(cidr) {
			cidrs = append(cidrs, cidr)
		}
	}
	slices.SortFunc(cidrs, netip.Prefix.Compare)
	return cidrs
}

// isOverlapped reports whether a block of another size overlaps a block.
func (s shortage) isOverlapped(cidr netip.Prefix) bool {
	return slices.ContainsFunc(s.others, cidr.Overlaps)
}

// malformedReason says why the first malformed block is malformed, or is empty.
func (s shortage) malformedReason() string {
	cidrs := s.malformedBlocks()
	if len(cidrs) == 0 {
		return ""
	}
	return fmt.Sprintf("; block %s cannot be read: %v", cidrs[0], s.malformed[cidrs[0]])
}

// strictAffinity says how many addresses the node could borrow without strict affinity, or is empty.
func (s shortage) strictAffinity() string {
	if !s.strict || s.free == 0 {
		return ""
	}
	return fmt.Sprintf("; %d addresses are free in blocks of other nodes, "+
		"but IPAMConfig.strictAffinity forbids borrowing them (set it to false)", s.free)
}
