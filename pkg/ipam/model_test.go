package ipam_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/selector"
)

var (
	modelRuns = flag.Int("model.runs", 3000, "random interleavings to try")
	modelSeed = flag.Uint64("model.seed", 0, "try this one seed only")
)

// script is what one actor does, an operation a word: "assign H", "dual H", "release H", "collect H" (release by what was read
// before), "move" (the pool no longer selects node a).
type script struct {
	node string
	ops  []string
}

// situation is a store to begin with and actors that meet on it.
type situation struct {
	prepare func(testing.TB, *memstore.Store)
	scripts []script
	// many says that there are too many interleavings to try them all: random ones have to do.
	many bool
}

func situations() map[string]situation {
	tiny := func(_ testing.TB, s *memstore.Store) {
		s.IPPools = []pool.Pool{{Name: "v4", CIDR: netip.MustParsePrefix("10.0.0.0/30"), BlockSize: 31}}
	}
	return map[string]situation{
		"two nodes claim their first blocks": {tiny, []script{{"a", []string{"assign x"}}, {"b", []string{"assign y"}}}, false},
		"two pods of one node":               {tiny, []script{{"a", []string{"assign x", "release x"}}, {"a", []string{"assign y"}}}, false},
		"assign and release of one handle":   {tiny, []script{{"a", []string{"assign x", "release x"}}, {"a", []string{"release x"}}}, false},
		"three nodes, two blocks": {tiny, []script{
			{"a", []string{"assign x", "release x"}}, {"b", []string{"assign y"}}, {"c", []string{"assign z", "release z"}},
		}, true},
		"a block is taken over while its owner uses it": {
			func(t testing.TB, s *memstore.Store) {
				tiny(t, s)
				s.Settings.StrictAffinity = true
				mustAssign(t, s, only4("b", "net.b1"))
				mustAssign(t, s, only4("a", "net.a1"))
				mustAssign(t, s, only4("a", "net.a2"))
				mustRelease(t, s, "net.b1")
			}, []script{{"a", []string{"assign x"}}, {"b", []string{"assign y", "release y"}}}, false,
		},
		"a collector decides on what it read before": {
			func(t testing.TB, s *memstore.Store) {
				s.IPPools = []pool.Pool{{Name: "v4", CIDR: netip.MustParsePrefix("10.0.0.0/32"), BlockSize: 32}}
				mustAssign(t, s, only4("a", "net.x"))
			}, []script{{"a", []string{"release x", "assign x"}}, {"gc", []string{"collect x"}}}, false,
		},
		"both families, with little room in each": {
			func(_ testing.TB, s *memstore.Store) {
				s.IPPools = []pool.Pool{
					{Name: "v4", CIDR: netip.MustParsePrefix("10.0.0.0/31"), BlockSize: 31},
					{Name: "v6", CIDR: netip.MustParsePrefix("fd00::/126"), BlockSize: 127},
				}
			}, []script{{"a", []string{"dual x", "release x"}}, {"b", []string{"dual y", "release y"}}, {"a", []string{"dual z"}}}, true,
		},
		"reservations leave one address of two": {
			func(t testing.TB, s *memstore.Store) {
				tiny(t, s)
				s.Reserved = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.0.2/32")}
			}, []script{{"a", []string{"assign x", "release x"}}, {"b", []string{"assign y"}}, {"b", []string{"assign z", "release z"}}}, true,
		},
		"the pool moves away": {
			func(t testing.TB, s *memstore.Store) {
				tiny(t, s)
				s.IPPools = append(s.IPPools, pool.Pool{Name: "zz", CIDR: netip.MustParsePrefix("10.1.0.0/31"), BlockSize: 31})
				mustAssign(t, s, only4("a", "net.old"))
			}, []script{{"a", []string{"release old", "assign x"}}, {"b", []string{"move", "assign y"}}}, false,
		},
	}
}

// model is one run: a world, and what its actors were given.
type model struct {
	*world
	// held are the addresses that actors hold: given to them, and not yet given back.
	held map[string][]netip.Addr
	// released counts, by handle, the releases that have begun, and releasing those that have not ended: an address
	// that is given meanwhile is not held for sure.
	released, releasing map[string]int
	// before is what handles held before the run.
	before map[string]holding
	// remembered are the blocks in which nodes found room, also before the run: they may be another's by now, or gone.
	remembered map[string][]netip.Prefix
	// history has every revision of each block that there was, oldest first.
	history map[netip.Prefix][]ipam.Row[block.Block]
	// sequence is the highest that a block was seen with.
	sequence map[netip.Prefix]int64
	failed   error
	never    *selector.Selector
	// bounded says that all orders within a bound are tried, mayCrash that actors may be killed.
	bounded, mayCrash bool
}

type holding struct {
	cidr    netip.Prefix
	holding block.Holding
}

func newModel(t testing.TB, sit situation, choices chooser, crashes, switches int) *model {
	s := newStore()
	sit.prepare(t, s)
	tick := later()
	s.Now = tick
	m := &model{never: never(t), held: map[string][]netip.Addr{}, released: map[string]int{}, releasing: map[string]int{}, before: map[string]holding{}, sequence: map[netip.Prefix]int64{}, remembered: map[string][]netip.Prefix{}, history: map[netip.Prefix][]ipam.Row[block.Block]{}}
	m.record(s)
	for cidr, b := range s.AllBlocks() {
		for _, h := range b.HeldBy(func(block.Attribute) bool { return true }) {
			owner, _ := b.Holder(h.Addr)
			m.before[owner.Handle] = holding{cidr, h}
		}
	}
	m.bounded, m.mayCrash = switches >= 0, crashes > 0
	m.world = &world{store: s, choices: choices, crashes: crashes, switches: switches, after: m.check}
	stale := map[string][]ipam.AffinityRow{}
	for _, node := range []string{"a", "b", "c"} {
		stale[node], _ = s.AffinitiesOf(context.Background(), node, false)
		for _, row := range stale[node] {
			m.remembered[node] = append(m.remembered[node], row.Key.CIDR)
		}
	}
	for i, sc := range sit.scripts {
		a := &actor{name: fmt.Sprintf("%d on %s", i, sc.node)}
		a.run = func(a *actor) {
			alloc := &ipam.Allocator{
				Store: actorStore{s, a, stale}, Now: tick, Parallel: 1, Memory: dim{m, sc.node},
				// Where all orders are tried, nobody waits, lest they be too many.
				Turn: func(context.Context) bool { return switches < 0 && m.choices.choose(2) == 1 },
			}
			for _, op := range sc.ops {
				if err := m.do(a, alloc, sc.node, op); err != nil && !a.crashed {
					m.failed = errors.Join(m.failed, fmt.Errorf("%s: %s: %w", a.name, op, err))
				}
			}
		}
		m.actors = append(m.actors, a)
	}
	return m
}

// do is one operation of an actor. An assignment that is told that nothing is left is no failure.
func (m *model) do(a *actor, alloc *ipam.Allocator, node, op string) error {
	verb, name, _ := strings.Cut(op, " ")
	handle := "net." + name
	switch verb {
	case "move":
		m.store.IPPools[0].Node = m.never
		return nil
	case "assign", "dual":
		before, r := m.released[handle], only4(node, handle)
		if verb == "dual" {
			r = dual(node, handle)
		}
		got, err := m.assign(alloc, r)
		if err == nil && !a.crashed && m.released[handle] == before && m.releasing[handle] == 0 {
			for _, g := range got {
				m.held[handle] = append(m.held[handle], g.Addr)
			}
			// The pod lives for a while, in which others may come and must leave its address alone.
			return a.call("the pod runs", func() error { return nil })
		}
		return ignoreErr(ignoreErr(err, ipam.ErrNoAddress), ipam.ErrReleased)
	case "release":
		delete(m.held, handle)
		m.released[handle]++
		m.releasing[handle]++
		defer func() { m.releasing[handle]-- }()
		h, err := alloc.Lookup(context.Background(), handle)
		if err != nil {
			return err
		}
		released, err := alloc.Release(context.Background(), h, nil, 0)
		if err != nil {
			return err
		}
		return alloc.GiveBackUnselected(context.Background(), m.store, released.Emptied)
	case "collect":
		// What it decided on is from before the run: the pod that it takes for dead may be back by now.
		old := m.before[handle]
		_, err := alloc.ReleaseHolding(context.Background(), handle, old.cidr, old.holding, 0)
		return err
	}
	return fmt.Errorf("no operation %q", op)
}

// assign gathers one thing after the other, so that a run is the same each time, and assigns. A node that remembers blocks
// goes by them, or by the list.
func (m *model) assign(alloc *ipam.Allocator, r ipam.Request) ([]ipam.Assigned, error) {
	view := ipam.View{Config: m.store.Settings, Pools: slices.Clone(m.store.IPPools), Reserved: m.store.Reserved}
	if known := m.remembered[r.Node]; len(known) > 0 && m.choices.choose(2) == 0 {
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
		view.Affinities = slices.Clone(rows)
	}
	got, err := alloc.Assign(context.Background(), view, r)
	if err == nil && !got[0].Borrowed {
		m.remembered[r.Node] = nil
		for _, g := range got {
			m.remembered[r.Node] = append(m.remembered[r.Node], g.Block)
		}
	}
	return got, err
}

// dim is the memory of a node: of a block it shows nothing, the oldest revision, the newest, or the one before. Where all
// orders are tried, lest they be too many, it is the first two, and with crashes the first.
type dim struct {
	m    *model
	node string
}

func (d dim) Roomy() []netip.Prefix { return d.m.remembered[d.node] }

func (d dim) Recall(cidr netip.Prefix) (row ipam.Row[block.Block], ok bool) {
	past := d.m.history[cidr]
	if len(past) == 0 {
		return row, false
	}
	options := []int{-1, 0, len(past) - 1, max(0, len(past)-2)}
	switch {
	case d.m.bounded && d.m.mayCrash:
		return row, false
	case d.m.bounded:
		options = options[:2]
	}
	i := options[d.m.choices.choose(len(options))]
	if i < 0 {
		return row, false
	}
	row = past[i]
	row.Value = row.Value.Clone()
	return row, true
}

func (dim) Keep(netip.Prefix, ipam.Row[block.Block])  {}
func (dim) Renew(netip.Prefix, ipam.Row[block.Block]) {}
func (dim) Forget(netip.Prefix)                       {}

// record notes the revisions of blocks that are new.
func (m *model) record(s *memstore.Store) {
	for cidr := range s.AllBlocks() {
		row, err := s.Blocks().Get(context.Background(), cidr)
		past := m.history[cidr]
		if err == nil && (len(past) == 0 || past[len(past)-1].Rev != row.Rev) {
			m.history[cidr] = append(past, row)
		}
	}
}

func ignoreErr(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// check is what must hold after every call of the store, whoever made it.
func (m *model) check() error {
	for _, breach := range m.store.Check() {
		return errors.New(breach)
	}
	m.record(m.store)
	blocks := m.store.AllBlocks()
	for handle, addrs := range m.held {
		for _, addr := range addrs {
			if !isHeld(blocks, addr, handle) {
				return fmt.Errorf("%s was given to %s, and the store does not have it so", addr, handle)
			}
		}
	}
	for _, p := range m.store.Reserved {
		for _, b := range blocks {
			if owner, ok := b.Holder(p.Addr()); ok {
				return fmt.Errorf("%s is reserved, and was given to %s", p, owner.Handle)
			}
		}
	}
	for cidr, b := range blocks {
		if u := b.Usage(); u.Free+u.Used+u.Cooling != len(b.Allocations) {
			return fmt.Errorf("%s has %+v of %d addresses", cidr, u, len(b.Allocations))
		}
		if b.Sequence < m.sequence[cidr] {
			return fmt.Errorf("sequence number of %s fell from %d to %d", cidr, m.sequence[cidr], b.Sequence)
		}
		m.sequence[cidr] = b.Sequence
	}
	return nil
}

func isHeld(blocks map[netip.Prefix]block.Block, addr netip.Addr, handle string) bool {
	for _, b := range blocks {
		if owner, ok := b.Holder(addr); ok && owner.Handle == handle {
			return true
		}
	}
	return false
}

// settle releases every handle, as the runtimes do in the end, and expects that nothing is left of any.
func (m *model) settle(sit situation) error {
	alloc := &ipam.Allocator{Store: m.store, Now: m.store.Now}
	handles := map[string]bool{}
	for handle := range m.before {
		handles[handle] = true
	}
	for _, sc := range sit.scripts {
		for _, op := range sc.ops {
			if _, name, ok := strings.Cut(op, " "); ok {
				handles["net."+name] = true
			}
		}
	}
	for handle := range handles {
		if err := release(alloc, handle); err != nil {
			return fmt.Errorf("release %s in the end: %w", handle, err)
		}
	}
	for cidr, b := range m.store.AllBlocks() {
		if !b.Empty() {
			return fmt.Errorf("everything was released, and %s still holds something", cidr)
		}
	}
	if strings.Contains(m.store.String(), "handle ") {
		return errors.New("everything was released, and a handle is left")
	}
	return m.check()
}

// explore makes one run and returns what is wrong with it.
func explore(t testing.TB, sit situation, choices chooser, crashes, switches int) (*model, error) {
	m := newModel(t, sit, choices, crashes, switches)
	err := m.play()
	if err == nil {
		err = m.failed
	}
	if err == nil {
		clear(m.held)
		err = m.settle(sit)
	}
	return m, err
}

// replay makes the choices of a list, and option 0 beyond its end. It notes how many options there were.
type replay struct{ list, options []int }

func (r *replay) choose(n int) int {
	i := len(r.options)
	r.options = append(r.options, n)
	if i >= len(r.list) {
		r.list = append(r.list, 0)
	}
	return r.list[i]
}

// following returns the next list in the order of a depth-first search, and false after the last.
func (r *replay) following() ([]int, bool) {
	for i := len(r.options) - 1; i >= 0; i-- {
		if r.list[i]+1 < r.options[i] {
			return append(append([]int{}, r.list[:i]...), r.list[i]+1), true
		}
	}
	return nil, false
}

// breaches counts what was found. Of a planted bug one is enough.
var breaches atomic.Int32

func enough() bool { return os.Getenv("IPAM_MUTANT") != "" && breaches.Load() > 0 }

// TestEveryInterleavingOfSmallCases tries all orders of store calls in which an actor is left for another at most twice
// before it ends or is stuck, and all in which that happens once and one actor is killed at any of its calls.
func TestEveryInterleavingOfSmallCases(t *testing.T) {
	for name, sit := range situations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if sit.many {
				return
			}
			runs := 0
			for _, bound := range []struct{ crashes, switches int }{{0, 2}, {1, 1}} {
				for list, more := []int(nil), true; more && !enough(); runs++ {
					r := &replay{list: list}
					m, err := explore(t, sit, r, bound.crashes, bound.switches)
					if err != nil {
						breaches.Add(1)
						t.Fatalf("%v\nchoices %v\n%s", err, r.list, m)
					}
					list, more = r.following()
				}
			}
			t.Logf("%d runs", runs)
		})
	}
}

// random chooses by a seed. It mostly goes on with whoever went last, and seldom kills.
type random struct{ *rand.Rand }

func (r random) choose(n int) int {
	if r.IntN(3) > 0 {
		return 0
	}
	return r.IntN(n)
}

func TestRandomInterleavings(t *testing.T) {
	for name, sit := range situations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(*modelRuns) {
				if enough() {
					return
				}
				if *modelSeed != 0 {
					seed = *modelSeed
				}
				m, err := explore(t, sit, random{rand.New(rand.NewPCG(seed, 1))}, int(seed%3), -1)
				if err != nil {
					breaches.Add(1)
					t.Fatalf("%v\nreplay with -model.seed=%d\n%s", err, seed, m)
				}
			}
		})
	}
}
