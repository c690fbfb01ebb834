package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/selector"
)

// model is one run: a world, and what its actors were given.
type model struct {
	*world
	sit situation
	// held are the addresses that actors hold: given to them, and not yet released.
	held map[string][]netip.Addr
	// released counts, by handle, the releases that have begun; releasing, those that run. An address that is assigned
	// during a release may be gone at once.
	released, releasing map[string]int
	// before is what handles held before the run.
	before map[string]holding
	// memory is what nodes remember, records what they record of deletions.
	memory  *memories
	records *records
	clock   *drifting
	// life and sequence are the UID and the sequence number of each block as it was last seen.
	life     map[netip.Prefix]string
	sequence map[netip.Prefix]int64
	// succeeded are the requests that were answered with addresses.
	succeeded []ipam.Request
	// given has the owner of each allocation by what a collector names it by.
	given map[allocation]string
	// checked is the revision that was last checked, -1 for none.
	checked int64
	failed  error
	never   *selector.Selector
	backup  memstore.Snapshot
	// bounded says that all orders within a bound are tried.
	bounded bool
}

type holding struct {
	cidr    netip.Prefix
	holding block.Holding
}

// allocation is what ReleaseHolding names an allocation by.
type allocation struct {
	addr     netip.Addr
	handle   string
	sequence int64
}

func newModel(t testing.TB, sit situation, choices chooser, crashes, faults, switches int) *model {
	s := newStore()
	sit.prepare(t, s)
	m := &model{
		sit: sit, never: never(t), held: map[string][]netip.Addr{},
		released: map[string]int{}, releasing: map[string]int{},
		before: map[string]holding{}, life: map[netip.Prefix]string{}, sequence: map[netip.Prefix]int64{},
		given: map[allocation]string{}, checked: -1, backup: s.Snapshot(), bounded: switches >= 0,
	}
	m.world = &world{store: s, choices: choices, crashes: crashes, switches: switches, after: m.check}
	if len(sit.faults) > 0 {
		m.faults, m.kinds = faults, sit.faults
	}
	m.clock = newDrifting(choices, sit.clockSteps)
	s.Now = m.clock.now
	m.memory = newMemories(m, crashes > 0)
	m.records = newRecords(m)
	for cidr, b := range s.AllBlocks() {
		for _, h := range b.HeldBy(func(block.Attribute) bool { return true }) {
			owner, _ := b.Holder(h.Addr)
			m.before[owner.Handle] = holding{cidr, h}
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

// lag chooses how far a cached list is behind. Where all orders are tried it shows the newest state or that before
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
		Store: actorStore{m.store, a}, Now: m.clock.now, Parallel: 1, Memory: dim{m.memory, sc.node},
		Turn: func(context.Context) bool { return m.waitForTurn(a, sc.node) },
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

// waitForTurn waits for the node's lock, or gets it at once. The lock excludes nobody here: the protocol must hold without
// it. Where all orders are tried, only the situations that are about the wait have one: there would be too many orders.
func (m *model) waitForTurn(a *actor, node string) (waited bool) {
	if m.bounded && !m.sit.turns || m.choices.choose(2) == 0 {
		return false
	}
	// An actor that is killed here fails at its next call.
	_ = a.call(step{what: "wait for the lock of node", key: node}, func() error { return nil })
	return true
}

// do is one operation of an actor: a verb, a handle, and for some verbs an argument. An assignment that gets no
// address is no failure.
func (m *model) do(a *actor, alloc *ipam.Allocator, node, op string) error {
	words := append(strings.Fields(op), "", "")
	verb, handle, arg := words[0], "net."+words[1], words[2]
	switch verb {
	case "move", "resize", "restore":
		return a.call(step{what: op}, func() error { m.administer(a, verb, words[1]); return nil })
	case "assign", "dual":
		r := only4(node, handle)
		if verb == "dual" {
			r = dual(node, handle)
		}
		if addr, err := netip.ParseAddr(arg); err == nil {
			r.Wants[0].Addr = addr
		} else if arg != "" {
			r.Wants[0].Pools = []string{arg}
		}
		own := func() error { return m.releaseQueued(alloc, handle) }
		before := m.released[handle]
		err := m.records.add(a, handle, own, func() error { return m.assign(a, alloc, r, before) })
		return ignore(err, ipam.ErrNoAddress, ipam.ErrReleased, ipam.ErrAddrTaken, errLockBusy)
	case "release":
		return m.records.del(a, handle, func() (bool, error) { return m.release(alloc, handle) })
	case "queue":
		return m.records.queue(a, handle)
	case "settle":
		return m.records.settle(a, handle, func() error { return m.releaseQueued(alloc, handle) })
	case "collect":
		// The decision is from before the run: the pod that it takes for dead may be back.
		old := m.before[handle]
		_, err := alloc.ReleaseHolding(context.Background(), handle, old.cidr, old.holding, 0)
		return err
	}
	return fmt.Errorf("no operation %q", op)
}

// administer changes the cluster.
func (m *model) administer(a *actor, verb, arg string) {
	switch verb {
	case "move":
		m.store.IPPools[0].Node = m.never
	case "resize":
		// The pool is deleted and created again: its block size cannot be changed.
		pools := slices.Clone(m.store.IPPools)
		if _, err := fmt.Sscan(arg, &pools[0].BlockSize); err != nil {
			panic(err)
		}
		m.store.IPPools = pools
	case "restore":
		m.restore(a)
	}
}

// restore sets the store back to its state before the run. It takes longer than any request, and longer than memories
// and records count.
func (m *model) restore(by *actor) {
	m.cutOff(by)
	m.store.Restore(m.backup)
	m.memory.expire()
	m.records.expire()
	clear(m.held)
	m.succeeded = nil
	clear(m.life)
	clear(m.given)
	m.checked = -1
}

// assign is what an ADD does with the store. before is how many releases of the handle had begun when the ADD began.
func (m *model) assign(a *actor, alloc *ipam.Allocator, r ipam.Request, before int) error {
	got, err := m.gatherAndAssign(alloc, r)
	if err != nil || a.crashed || a.cut {
		return err
	}
	if n := m.holdingsOf(r); n > len(r.Wants) {
		return fmt.Errorf("the request wanted %d addresses and holds %d", len(r.Wants), n)
	}
	m.succeeded = append(m.succeeded, r)
	if m.released[r.Handle] != before || m.releasing[r.Handle] > 0 {
		return nil
	}
	for _, g := range got {
		m.held[r.Handle] = append(m.held[r.Handle], g.Addr)
	}
	m.checked = -1
	// The pod lives for a while, in which others must leave its address alone.
	return a.call(step{what: "the pod runs"}, func() error { return nil })
}

// holdingsOf counts what a request holds.
func (m *model) holdingsOf(r ipam.Request) (n int) {
	for _, b := range m.store.AllBlocks() {
		n += len(b.HeldBy(func(o block.Attribute) bool {
			return o.Handle == r.Handle && o.Owner["timestamp"] == r.Owner["timestamp"]
		}))
	}
	return n
}

// gatherAndAssign gathers one thing after the other, so that a run is the same each time, and assigns. A node that
// remembers blocks goes by them, or by the list.
func (m *model) gatherAndAssign(alloc *ipam.Allocator, r ipam.Request) ([]ipam.Assigned, error) {
	view := ipam.View{Config: m.store.Settings, Pools: slices.Clone(m.store.IPPools), Reserved: m.store.Reserved}
	known := m.memory.roomy[r.Node]
	if len(known) > 0 && m.choices.choose(2) == 0 {
		view.Remembered, view.Blocks = true, map[netip.Prefix]ipam.Row[block.Block]{}
		for _, cidr := range known {
			if row, ok := alloc.Memory.Recall(cidr); ok {
				view.Blocks[cidr] = row
			} else if row, err := alloc.Store.Blocks().Get(context.Background(), cidr); err == nil && !row.Deleted {
				view.Blocks[cidr] = row
			}
			view.Affinities = append(view.Affinities, ipam.AffinityRow{Key: ipam.AffinityKey{Node: r.Node, CIDR: cidr}})
		}
	} else {
		rows, err := alloc.Store.AffinitiesOf(context.Background(), r.Node, true)
		if err != nil {
			return nil, err
		}
		view.Affinities = rows
	}
	got, err := alloc.Assign(context.Background(), view, r)
	if err == nil && !got[0].Borrowed {
		m.memory.roomy[r.Node] = nil
		for _, g := range got {
			m.memory.roomy[r.Node] = append(m.memory.roomy[r.Node], g.Block)
		}
	}
	return got, err
}

// release is what a DEL does with the store. It reports whether there was a handle and all of it was released.
func (m *model) release(alloc *ipam.Allocator, handle string) (all bool, err error) {
	delete(m.held, handle)
	m.released[handle]++
	m.releasing[handle]++
	defer func() { m.releasing[handle]-- }()
	h, err := alloc.Lookup(context.Background(), handle)
	if err != nil || !h.Found() {
		return false, err
	}
	released, err := alloc.Release(context.Background(), h, nil, 0)
	if err != nil {
		return false, err
	}
	return true, alloc.GiveBackUnselected(context.Background(), m.store, released.Emptied)
}

// releaseQueued is what settling a queued release does with the store. It is no release of the handle that the model
// expects: a pod that was added after its DEL was queued keeps its address.
func (m *model) releaseQueued(alloc *ipam.Allocator, handle string) error {
	h, err := alloc.Lookup(context.Background(), handle)
	if err != nil || !h.Found() {
		return err
	}
	_, err = alloc.Release(context.Background(), h, nil, 0)
	return err
}

// ignore returns err unless it is one of the harmless ones.
func ignore(err error, harmless ...error) error {
	if slices.ContainsFunc(harmless, func(h error) bool { return errors.Is(err, h) }) {
		return nil
	}
	return err
}
