// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/selector"
)

// model is one run: a world, and the expected state of its actors.
type model struct {
	*world
	sit situation
	// held are the addresses that were allocated to attachments and not yet released.
	held map[string][]netip.Addr
	// cooling has the addresses in their cooldown, and the time of their release, at the last check.
	cooling map[netip.Addr]time.Time
	// released counts, by attachment, the releases that have begun; releasing, those that run. An address that is
	// allocated during a release may be released at once.
	released, releasing map[string]int
	// before has the addresses of handles before the run.
	before map[string]holding
	// caches are the block caches of the nodes, records their records of deletions.
	caches  *nodeCaches
	records *records
	clock   *driftingClock
	// uid and sequence are the UID and the sequence number of each block at the last check.
	uid      map[netip.Prefix]string
	sequence map[netip.Prefix]int64
	// succeeded are the requests that got addresses.
	succeeded []ipam.Request
	// owners has the owner of each allocation.
	owners map[allocation]string
	// checked is the revision of the last check, -1 for none.
	checked int64
	failed  error
	never   *selector.Selector
	backup  memstore.Snapshot
	// bounded says that all interleavings within a bound are tried.
	bounded bool
}

type holding struct {
	cidr    netip.Prefix
	holding block.Holding
	owner   map[string]string
}

// allocation identifies an allocation, as ReleaseHolding does.
type allocation struct {
	addr     netip.Addr
	handle   string
	sequence int64
}

func newModel(t testing.TB, sit situation, choices chooser, crashes, faults, switches int) *model {
	s := newStore()
	sit.prepare(t, s)
	m := &model{
		sit: sit, never: never(t), held: map[string][]netip.Addr{}, cooling: map[netip.Addr]time.Time{},
		released: map[string]int{}, releasing: map[string]int{},
		before: map[string]holding{}, uid: map[netip.Prefix]string{}, sequence: map[netip.Prefix]int64{},
		owners: map[allocation]string{}, checked: -1, backup: s.Snapshot(), bounded: switches >= 0,
	}
	m.world = &world{store: s, choices: choices, crashes: crashes, switches: switches, after: m.check}
	if len(sit.faults) > 0 {
		m.faults, m.kinds = faults, sit.faults
	}
	m.clock = newDriftingClock(choices, sit.clockSteps)
	s.Now = m.clock.now
	m.caches = newNodeCaches(m, crashes > 0)
	m.records = newRecords(m)
	for cidr, b := range s.AllBlocks() {
		for _, h := range b.HeldBy(func(block.Attribute) bool { return true }) {
			owner, _ := b.Holder(h.Addr)
			m.before[owner.Handle] = holding{cidr, h, owner.Owner}
		}
	}
	s.Lag = m.lag(s.Changes())
	for i, sc := range sit.scripts {
		a := &actor{name: fmt.Sprintf("%d on %s", i, sc.node)}
		a.run = func(a *actor) { m.runScript(a, sc) }
		m.actors = append(m.actors, a)
	}
	return m
}

// lag chooses how many changes a cached list lacks. An exhaustive run chooses between none and all since the start of
// the run.
func (m *model) lag(before int) func(int) int {
	return func(n int) int {
		if m.bounded {
			return m.choices.choose(2) * max(0, n-before)
		}
		return m.choices.choose(n + 1)
	}
}

func (m *model) runScript(a *actor, sc script) {
	alloc := &ipam.Allocator{
		Store: actorStore{m.store, a}, Now: m.clock.now, Parallel: 1, Cache: nodeCache{m.caches, sc.node},
		LockNode: func(context.Context) bool { return m.waitForLock(a, sc.node) },
	}
	for _, op := range sc.ops {
		a.busy, a.cut = true, false
		err := m.do(a, alloc, sc.node, op)
		a.busy = false
		if errors.Is(err, errLost) && (len(m.kinds) > 0 || a.cut) {
			err = nil
		}
		if err != nil && !a.crashed {
			m.failed = errors.Join(m.failed, fmt.Errorf("%s: %s: %w", a.name, op, err))
		}
	}
}

// waitForLock waits for the node's lock, or gets it without waiting. The lock excludes no other actor: the protocol
// must be correct without it. An exhaustive run waits only in the situations that are about the wait, to bound the
// number of interleavings.
func (m *model) waitForLock(a *actor, node string) (waited bool) {
	if m.bounded && !m.sit.lockWait || m.choices.choose(2) == 0 {
		return false
	}
	// An actor that is killed here fails at its next call to the store.
	_ = a.call(step{what: "wait for the lock of node", key: node}, func() error { return nil })
	return true
}

// do runs one operation of an actor: a verb, a handle, and for some verbs an argument. A request that gets no address
// is no failure.
func (m *model) do(a *actor, alloc *ipam.Allocator, node, op string) error {
	words := append(strings.Fields(op), "", "")
	verb, arg, who := words[0], words[2], attachmentOf("net."+words[1])
	handle := who.handle
	switch verb {
	case "move", "resize", "restore":
		return a.call(step{what: op}, func() error { m.administer(a, verb, words[1]); return nil })
	case "assign", "dual", "fail":
		r := only4(node, handle)
		if verb == "dual" {
			r = dual(node, handle)
		}
		who.own(&r)
		if addr, err := netip.ParseAddr(arg); err == nil {
			r.Wants[0].Addr = addr
		} else if arg != "" {
			r.Wants[0].Pools = []string{arg}
		}
		own := func() error { return m.releaseQueued(alloc, handle) }
		before := m.released[who.String()]
		err := m.records.add(a, handle, own, func() error {
			if verb == "fail" {
				return m.assignAndWithdraw(a, alloc, r)
			}
			return m.assign(a, alloc, r, before)
		})
		return ignore(err, ipam.ErrNoAddress, ipam.ErrReleased, ipam.ErrAddrTaken, ipam.ErrAddrCooling,
			ipam.ErrBorrowForbidden, errLockBusy)
	case "release":
		return m.records.del(a, handle, func() (bool, error) { return m.release(alloc, who) })
	case "queue":
		return m.records.queue(a, handle)
	case "settle":
		return m.records.settle(a, handle, func() error { return m.releaseQueued(alloc, handle) })
	case "collect":
		// The decision to release was made before the run. The pod may have been added again since.
		old := m.before[handle]
		_, err := alloc.ReleaseHolding(context.Background(), handle, old.cidr, old.holding, m.cooldown())
		return err
	case "sweep":
		return m.releaseHeld(alloc, handle)
	}
	return fmt.Errorf("no operation %q", op)
}

// administer changes the cluster.
func (m *model) administer(a *actor, verb, arg string) {
	switch verb {
	case "move":
		m.store.IPPools[0].Node = m.never
	case "resize":
		// The pool is deleted and created again, because the block size of a pool cannot be changed.
		pools := slices.Clone(m.store.IPPools)
		if _, err := fmt.Sscan(arg, &pools[0].BlockSize); err != nil {
			panic(err)
		}
		m.store.IPPools = pools
	case "restore":
		m.restore(a)
	}
}

// restore sets the store back to its state before the run. It takes longer than any request, and longer than the
// lifetime of cached blocks and records.
func (m *model) restore(by *actor) {
	m.cutOff(by)
	m.store.Restore(m.backup)
	m.caches.expire()
	m.records.expire()
	clear(m.held)
	clear(m.cooling)
	m.succeeded = nil
	clear(m.uid)
	clear(m.owners)
	m.checked = -1
}

// ignore returns err unless it is one of the harmless ones.
func ignore(err error, harmless ...error) error {
	if slices.ContainsFunc(harmless, func(h error) bool { return errors.Is(err, h) }) {
		return nil
	}
	return err
}
