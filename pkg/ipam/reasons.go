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
