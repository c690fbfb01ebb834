// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

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
	remedy := "free addresses, or add an IPPool"
	reserved := k.pool.Blocks() - k.pool.Space(k.plan.picker.reserved, nil).Len()
	if reserved > 0 {
		remedy = "free addresses, shrink an IPReservation, or add an IPPool"
	}
	return fmt.Sprintf("all %d blocks of %s are in use, %d taken and %d reserved (%s)%s",
		k.pool.Blocks(), k.pool.CIDR, k.taken, reserved, remedy, k.strictAffinity())
}

func (k *walk) strictAffinity() string {
	if !k.plan.config.StrictAffinity || k.free == 0 {
		return ""
	}
	return fmt.Sprintf("; %d addresses are free in blocks of other nodes, "+
		"but IPAMConfig.strictAffinity forbids borrowing them (set it to false)", k.free)
}
