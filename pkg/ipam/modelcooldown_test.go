// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

func (m *model) cooldown() time.Duration { return m.store.Settings.Cooldown }

// checkCooldowns checks that no cooldown has ended too early, by the end of an address or of its block. It checks
// nothing if the clock is set in the run.
func (m *model) checkCooldowns(rows map[netip.Prefix]ipam.Row[block.Block]) error {
	if m.cooldown() == 0 {
		return nil
	}
	now := map[netip.Addr]time.Time{}
	for _, row := range rows {
		for o := range row.Value.Allocations {
			addr := row.Value.Addr(o)
			if owner, ok := row.Value.Holder(addr); ok && owner.Handle == "" && !owner.ReleasedAt.IsZero() {
				now[addr] = owner.ReleasedAt
			}
		}
	}
	for addr, since := range m.cooling {
		age := m.clock.at.Sub(since)
		if !now[addr].Equal(since) && age < m.cooldown() && m.sit.clockSteps == 0 {
			return fmt.Errorf("the cooldown of %s ended after %v of %v", addr, age, m.cooldown())
		}
	}
	m.cooling = now
	return nil
}

// releaseBlocks waits for the end of all cooldowns, and checks that all blocks of nodes can be released then.
func (m *model) releaseBlocks(alloc *ipam.Allocator) error {
	m.clock.at = m.clock.at.Add(m.cooldown())
	for cidr, b := range m.store.AllBlocks() {
		node, owned := strings.CutPrefix(b.Affinity, "host:")
		if !owned {
			continue
		}
		released, err := alloc.ReleaseIfEmpty(context.Background(), node, cidr, m.cooldown())
		if err != nil || !released {
			return fmt.Errorf("block %s of %s cannot be released after all cooldowns: %w", cidr, node, err)
		}
	}
	return m.check()
}
