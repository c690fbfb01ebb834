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

// model is one run: a world, and the expected state of its actors.
type model struct {
	*world
	sit situation
	// held are the addresses that were allocated to handles and not yet released.
	held map[string][]netip.Addr
	// released counts, by handle, the releases that have begun; releasing, those that run. An address that is allocated
	// during a release may be released at once.
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
		sit: sit, never: never(t), held: map[string][]netip.Addr{},
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

// waitForLock waits for the node's lock, or gets it at once. The lock excludes no other actor: the protocol must be
// correct without it. An exhaustive run waits only in the situations that are about the wait, to bound the number of
// interleavings.
func (m *model) waitForLock(a *actor, node string) (waited bool) {
	if m.bounded && !m.sit.lockWait || m.choices.choose(2) == 0 {
		return false
	}
	// An actor that is killed here fails at its next call to the store.
	_ = a.call(step{what: "wait for the lock of node", key: node}, func() error { return nil })
	return true
}

// do runs one operation of an actor: a verb, a handle, and for some verbs an argument. That a request gets no address
// is not a failure.
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
		// The decision to release was made before the run. The pod may have been added again since.
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
	m.succeeded = nil
	clear(m.uid)
	clear(m.owners)
	m.checked = -1
}

// assign is the part of an ADD that uses the store. before is the number of releases of the handle that had begun
// before the ADD.
func (m *model) assign(a *actor, alloc *ipam.Allocator, r ipam.Request, before int) error {
	got, err := m.gatherAndAssign(alloc, r)
	if err != nil || a.crashed || a.cut {
		return err
	}
	if n := m.holdingsOf(r); n > len(r.Wants) {
		return fmt.Errorf("the request wants %d addresses and holds %d", len(r.Wants), n)
	}
	m.succeeded = append(m.succeeded, r)
	if m.released[r.Handle] != before || m.releasing[r.Handle] > 0 {
		return nil
	}
	for _, g := range got {
		m.held[r.Handle] = append(m.held[r.Handle], g.Addr)
	}
	m.checked = -1
	// While the pod runs, no other actor may release its address.
	return a.call(step{what: "the pod runs"}, func() error { return nil })
}

// holdingsOf counts the addresses of a request.
func (m *model) holdingsOf(r ipam.Request) (n int) {
	for _, b := range m.store.AllBlocks() {
		n += len(b.HeldBy(func(o block.Attribute) bool {
			return o.Handle == r.Handle && o.Owner["timestamp"] == r.Owner["timestamp"]
		}))
	}
	return n
}

// gatherAndAssign builds a view and assigns. Unlike Gather it reads sequentially, so that runs can be replayed. The
// view is from the cache, or from the list of affinities.
func (m *model) gatherAndAssign(alloc *ipam.Allocator, r ipam.Request) ([]ipam.Assigned, error) {
	view := ipam.View{Config: m.store.Settings, Pools: slices.Clone(m.store.IPPools), Reserved: m.store.Reserved}
	known := m.caches.withRoom[r.Node]
	if len(known) > 0 && m.choices.choose(2) == 0 {
		view.FromCache, view.Blocks = true, map[netip.Prefix]ipam.Row[block.Block]{}
		for _, cidr := range known {
			if row, ok := alloc.Cache.Get(cidr); ok {
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
		m.caches.withRoom[r.Node] = nil
		for _, g := range got {
			m.caches.withRoom[r.Node] = append(m.caches.withRoom[r.Node], g.Block)
		}
	}
	return got, err
}

// release is the part of a DEL that uses the store. It reports whether the handle existed and was released completely.
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
	return true, alloc.ReleaseUnselected(context.Background(), m.store, released.Emptied)
}

// releaseQueued settles a queued release. The model does not count it as a release of the handle: a pod that is added
// after its DEL was queued keeps its address.
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
