package ipam_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
)

// A chooser decides what happens next: of n options, numbered from 0. The choices that it made are a run, and make it again.
type chooser interface{ choose(n int) int }

// world is a store that several actors use, one call at a time, in an order that a chooser decides.
type world struct {
	store   *memstore.Store
	choices chooser
	actors  []*actor
	// crashes is how many actors may still be killed.
	crashes int
	// switches bounds how often the scheduler leaves an actor that could go on; negative is no bound.
	switches int
	// after is called when a call has taken effect.
	after func() error
	trace []string
}

// actor is one process: a sequence of operations that ends, or is killed at a call of the store.
type actor struct {
	w       *world
	name    string
	run     func(*actor)
	resume  chan verdict
	parked  chan string // what the actor is about to do; "" when it has ended
	crashed bool
	pending string
}

// verdict is what becomes of a call.
type verdict int

const (
	goOn verdict = iota
	killBefore
	killAfter
)

// play runs all actors to their end, and returns the first breach that it met.
func (w *world) play() error {
	for _, a := range w.actors {
		a.w, a.resume, a.parked = w, make(chan verdict), make(chan string)
		go func() {
			<-a.resume
			a.run(a)
			a.parked <- ""
		}()
		a.pending = "start"
	}
	last := -1
	var broken error
	for {
		i, v, ok := w.next(last)
		if !ok {
			return broken
		}
		a := w.actors[i]
		if a.pending != "start" {
			w.note(a, v)
		}
		a.resume <- v
		a.pending = <-a.parked
		if last = i; broken == nil && !a.crashed {
			broken = w.after()
		}
	}
}

// next chooses who goes on, and whether it is killed there. It prefers, as option 0, whoever went last.
func (w *world) next(last int) (i int, v verdict, ok bool) {
	var live []int
	if last >= 0 && w.actors[last].pending != "" {
		live = append(live, last)
	}
	for i, a := range w.actors {
		if i != last && a.pending != "" {
			live = append(live, i)
		}
	}
	if len(live) == 0 {
		return 0, goOn, false
	}
	options := len(live)
	if live[0] == last && w.switches == 0 {
		options = 1
	}
	choice := 0
	if options > 1 {
		choice = w.choices.choose(options)
	}
	if choice > 0 && live[0] == last && w.switches > 0 {
		w.switches--
	}
	i = live[choice]
	if w.crashes > 0 && !w.actors[i].crashed && w.actors[i].pending != "start" {
		if v = verdict(w.choices.choose(3)); v != goOn {
			w.crashes--
		}
	}
	return i, v, true
}

func (w *world) note(a *actor, v verdict) {
	w.trace = append(w.trace, a.name+": "+a.pending+map[verdict]string{goOn: "", killBefore: "  <- killed before it", killAfter: "  <- killed after it"}[v])
}

// call is one call of the store by an actor: it waits for its turn.
func (a *actor) call(what string, f func() error) error {
	if a.crashed {
		return errCrashed
	}
	a.parked <- what
	switch <-a.resume {
	case killBefore:
		a.crashed = true
	case killAfter:
		a.crashed = true
		_ = f()
	}
	if a.crashed {
		return errCrashed
	}
	return f()
}

// actorStore is the store as an actor sees it.
type actorStore struct {
	*memstore.Store
	a *actor
	// stale is a list of affinities from before the run, which a cached list may still return.
	stale map[string][]ipam.AffinityRow
}

func (s actorStore) Blocks() ipam.Table[netip.Prefix, block.Block] {
	return actorTable[netip.Prefix, block.Block]{s.a, s.Store.Blocks(), "block"}
}

func (s actorStore) Affinities() ipam.Table[ipam.AffinityKey, ipam.Affinity] {
	return actorTable[ipam.AffinityKey, ipam.Affinity]{s.a, s.Store.Affinities(), "affinity"}
}

func (s actorStore) Handles() ipam.Table[string, ipam.Handle] {
	return actorTable[string, ipam.Handle]{s.a, s.Store.Handles(), "handle"}
}

func (s actorStore) AffinitiesOf(ctx context.Context, node string, cached bool) (rows []ipam.AffinityRow, err error) {
	err = s.a.call(fmt.Sprintf("list affinities of %s (cached %v)", node, cached), func() (err error) {
		if cached && s.a.w.choices.choose(2) == 1 {
			rows = s.stale[node]
			return nil
		}
		rows, err = s.Store.AffinitiesOf(ctx, node, cached)
		return err
	})
	return rows, err
}

type actorTable[K comparable, T any] struct {
	a    *actor
	in   ipam.Table[K, T]
	kind string
}

func (t actorTable[K, T]) Get(ctx context.Context, k K) (row ipam.Row[T], err error) {
	err = t.a.call(fmt.Sprintf("get %s %v", t.kind, k), func() (err error) { row, err = t.in.Get(ctx, k); return err })
	return row, err
}

func (t actorTable[K, T]) Create(ctx context.Context, k K, v T) (row ipam.Row[T], err error) {
	err = t.a.call(fmt.Sprintf("create %s %v", t.kind, k), func() (err error) { row, err = t.in.Create(ctx, k, v); return err })
	return row, err
}

func (t actorTable[K, T]) Update(ctx context.Context, k K, r ipam.Row[T]) (row ipam.Row[T], err error) {
	err = t.a.call(fmt.Sprintf("update %s %v (deleted %v)", t.kind, k, r.Deleted), func() (err error) { row, err = t.in.Update(ctx, k, r); return err })
	return row, err
}

func (t actorTable[K, T]) Delete(ctx context.Context, k K, r ipam.Row[T]) error {
	return t.a.call(fmt.Sprintf("delete %s %v", t.kind, k), func() error { return t.in.Delete(ctx, k, r) })
}

func (w *world) String() string {
	return strings.Join(w.trace, "\n") + "\nstore:\n" + w.store.String()
}
