// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"calico-cni/pkg/ipam/pool"
)

// limit says why the node may claim no more blocks for a want, or is empty.
func (p *plan) limit(w Want) string {
	blocks := p.own.count(w.IPv6)
	switch {
	case !p.config.AutoAllocateBlocks:
		return "the node's blocks are full, and IPAMConfig.autoAllocateBlocks is off (set it to true)"
	case blocks >= p.config.MaxBlocksPerHost:
		return fmt.Sprintf("the node's %d blocks are full, and IPAMConfig.maxBlocksPerHost is %d (raise it)",
			blocks, p.config.MaxBlocksPerHost)
	}
	return ""
}

// noPool returns the error of a search without a pool to search in.
func noPool(w Want, rejected []pool.Rejection) *NoAddressError {
	none := &NoAddressError{IPv6: w.IPv6}
	for _, r := range rejected {
		none.Reasons = append(none.Reasons, r.String())
	}
	return none
}

// noAddress returns the error of a search that found nothing.
func (p *plan) noAddress(w Want, rejected []pool.Rejection) error {
	none := noPool(w, rejected)
	none.Reasons = append(none.Reasons, p.reasons...)
	for _, cidr := range slices.SortedFunc(maps.Keys(p.overlapped), netip.Prefix.Compare) {
		none.Reasons = append(none.Reasons, p.overlapped[cidr].Error())
	}
	none.Reasons = append(none.Reasons, p.unavailable.reasons(p.config.Cooldown)...)
	return none
}

// reason says why the pool has no address for the want.
func (k *walk) reason() string {
	if !k.mayClaim() {
		return k.limit + k.strictAffinity()
	}
	if k.looked >= k.plan.maxLook {
		return fmt.Sprintf("no free block among the %d of %d looked at (retry, or add an IPPool)%s",
			k.looked, k.pool.Blocks(), k.strictAffinity())
	}
	return k.usage() + k.malformedReason() + k.strictAffinity()
}

// usage says how the blocks of the pool are used, after a walk through all of them, and what frees some.
func (k *walk) usage() string {
	inner := k.pool.Inner(k.plan.pools.pools)
	all := k.pool.Blocks()
	unreserved := k.pool.Space(k.plan.picker.reserved, nil).Len()
	own := k.pool.Space(k.plan.picker.reserved, inner).Len()
	claimable := k.pool.Space(k.plan.picker.reserved, append(inner, k.others...)).Len()
	malformed := uint64(len(k.malformedBlocks()))
	var counts, remedies []string
	for _, part := range []struct {
		n             uint64
		state, remedy string
	}{
		{claimable - malformed, "taken", "free addresses"},
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
	return fmt.Sprintf("all %d blocks of %s are in use: %s (%s)", all, k.pool.CIDR, strings.Join(counts, ", "), remedy)
}

// malformedBlocks returns the malformed blocks, sorted, without those that blocks of another size overlap.
func (k *walk) malformedBlocks() (cidrs []netip.Prefix) {
	for cidr := range k.malformed {
		if !slices.ContainsFunc(k.others, cidr.Overlaps) {
			cidrs = append(cidrs, cidr)
		}
	}
	slices.SortFunc(cidrs, netip.Prefix.Compare)
	return cidrs
}

// malformedReason says why the first malformed block is malformed, or is empty.
func (k *walk) malformedReason() string {
	cidrs := k.malformedBlocks()
	if len(cidrs) == 0 {
		return ""
	}
	return fmt.Sprintf("; block %s cannot be read: %v", cidrs[0], k.malformed[cidrs[0]])
}

func (k *walk) strictAffinity() string {
	if !k.plan.config.StrictAffinity || k.free == 0 {
		return ""
	}
	return fmt.Sprintf("; %d addresses are free in blocks of other nodes, "+
		"but IPAMConfig.strictAffinity forbids borrowing them (set it to false)", k.free)
}
