// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
)

// check checks the invariants that hold after every call to the store.
func (m *model) check() error {
	if m.store.Revision() == m.checked {
		return nil
	}
	m.checked = m.store.Revision()
	for _, breach := range m.store.Check() {
		return errors.New(breach)
	}
	rows := m.store.BlockRows()
	for who, addrs := range m.held {
		for _, addr := range addrs {
			if !isHeld(rows, addr, attachmentOf(who)) {
				return fmt.Errorf("%s was allocated to %s, but the store has no such allocation", addr, who)
			}
		}
	}
	if err := m.checkCooldowns(rows); err != nil {
		return err
	}
	for cidr, row := range rows {
		if err := m.checkBlock(cidr, row.UID, row.Value); err != nil {
			return err
		}
	}
	return nil
}

// checkBlock checks one block against its earlier states.
func (m *model) checkBlock(cidr netip.Prefix, uid string, b block.Block) error {
	for _, p := range m.store.Reserved {
		if owner, ok := b.Holder(p.Addr()); ok && !m.sit.requests(p.Addr()) {
			return fmt.Errorf("%s is reserved, but was allocated to %s", p, owner.Handle)
		}
	}
	if u := b.Usage(); u.Free+u.Used+u.Cooling != len(b.Allocations) {
		return fmt.Errorf("%s has %+v of %d addresses", cidr, u, len(b.Allocations))
	}
	// A block that is created again starts with a sequence number from the clock, which may have been set back.
	if m.uid[cidr] == uid && b.Sequence < m.sequence[cidr] {
		return fmt.Errorf("sequence number of %s fell from %d to %d", cidr, m.sequence[cidr], b.Sequence)
	}
	m.uid[cidr], m.sequence[cidr] = uid, b.Sequence
	for _, h := range b.HeldBy(func(block.Attribute) bool { return true }) {
		owner, _ := b.Holder(h.Addr)
		name, stamp := allocation{h.Addr, owner.Handle, h.Sequence}, owner.Owner["timestamp"]
		if other, ok := m.owners[name]; ok && other != stamp {
			return fmt.Errorf("allocations %s and %s of %s have one sequence number, %d", other, stamp, h.Addr, h.Sequence)
		}
		m.owners[name] = stamp
	}
	return nil
}

// requests reports whether a script requests a specific address.
func (s situation) requests(addr netip.Addr) bool {
	for _, sc := range s.scripts {
		for _, op := range sc.ops {
			if strings.HasSuffix(op, " "+addr.String()) {
				return true
			}
		}
	}
	return false
}

func isHeld(rows map[netip.Prefix]ipam.Row[block.Block], addr netip.Addr, who attachment) bool {
	for _, row := range rows {
		owner, ok := row.Value.Holder(addr)
		if ok && owner.Handle == who.handle && owner.Owner["interface"] == who.ifName {
			return true
		}
	}
	return false
}

// checkAllOrNothing checks that each request that succeeded holds all of its addresses or none. It skips runs with a
// crash or a failed write: these may leave a partial release, which the runtime repeats.
func (m *model) checkAllOrNothing() error {
	if m.disturbed {
		return nil
	}
	for _, r := range m.succeeded {
		if n := m.holdingsOf(r); n != 0 && n != len(r.Wants) {
			return fmt.Errorf("%s was allocated %d addresses, but holds %d after its release", r.Handle, len(r.Wants), n)
		}
	}
	return nil
}

// settle releases every handle, and checks that nothing is left.
func (m *model) settle() error {
	if err := m.checkAllOrNothing(); err != nil {
		return err
	}
	clear(m.held)
	if err := m.checkAffinities(); err != nil {
		return err
	}
	alloc := &ipam.Allocator{Store: m.store, Now: m.store.Now, Parallel: 1}
	handles := map[string]bool{}
	for handle := range m.before {
		handles[handle] = true
	}
	for _, sc := range m.sit.scripts {
		for _, op := range sc.ops {
			if words := strings.Fields(op); len(words) > 1 && words[0] != "resize" {
				handles[attachmentOf("net."+words[1]).handle] = true
			}
		}
	}
	for handle := range handles {
		if m.records.complete(handle) {
			// A DEL makes no request.
			continue
		}
		h, err := alloc.Lookup(context.Background(), handle)
		if err == nil {
			_, err = alloc.Release(context.Background(), h, nil, m.cooldown())
		}
		if err != nil {
			return fmt.Errorf("release %s at the end: %w", handle, err)
		}
	}
	for cidr, b := range m.store.AllBlocks() {
		if !b.Empty(m.clock.now(), 0) {
			return fmt.Errorf("all handles were released, but block %s is not empty", cidr)
		}
	}
	if strings.Contains(m.store.String(), "handle ") {
		return errors.New("all handles were released, but a handle is left")
	}
	if err := m.check(); err != nil {
		return err
	}
	return m.releaseBlocks(alloc)
}
