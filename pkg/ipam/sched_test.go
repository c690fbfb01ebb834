// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"strings"

	"calico-cni/pkg/ipam/memstore"
)

// A chooser chooses one of n options, numbered from 0. The same choices make the same run.
type chooser interface{ choose(n int) int }

// world is a store that several actors use, one call at a time, in an order that a chooser decides.
type world struct {
	store   *memstore.Store
	choices chooser
	actors  []*actor
	// crashes is how many actors may still be killed, faults how many writes may still fail, as kinds say.
	crashes, faults int
	kinds           []verdict
	// disturbed says that an actor was killed, or a write failed.
	disturbed bool
	// switches bounds the number of preemptions: how often another actor continues although the last one could. A
	// negative value is no bound.
	switches int
	// after is called when a call has taken effect.
	after func() error
	calls []note
}

// note is one line of a trace, not yet formatted.
type note struct {
	actor string
	step  step
	verdict
}

// play runs all actors to their end, and returns the first violation of an invariant.
func (w *world) play() error {
	for _, a := range w.actors {
		w.start(a)
	}
	last := -1
	var broken error
	for {
		i, v, ok := w.next(last)
		if !ok {
			return broken
		}
		a := w.actors[i]
		if a.pending != begin {
			w.calls = append(w.calls, note{a.name, a.pending, v})
		}
		a.resume <- v
		a.pending = <-a.parked
		if last = i; broken == nil && !a.crashed {
			broken = w.after()
		}
	}
}

func (w *world) start(a *actor) {
	a.w, a.resume, a.parked = w, make(chan verdict), make(chan step)
	go func() {
		growStack()
		<-a.resume
		a.run(a)
		a.parked <- step{}
	}()
	a.pending = begin
}

// growStack makes the stack of a goroutine grow once, while it is empty, instead of several times while it is deep.
// That saves a fifth of the time of a run.
//
//go:noinline
func growStack() (sum byte) {
	var frame [16 << 10]byte
	for i := 0; i < len(frame); i += 4 << 10 {
		frame[i]++
		sum += frame[i]
	}
	return sum
}

// next chooses the actor that continues, and the outcome of its call. Option 0 is the last actor.
func (w *world) next(last int) (i int, v verdict, ok bool) {
	var live []int
	if last >= 0 && w.actors[last].pending != (step{}) {
		live = append(live, last)
	}
	for i, a := range w.actors {
		if i != last && a.pending != (step{}) {
			live = append(live, i)
		}
	}
	if len(live) == 0 {
		return 0, proceed, false
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
	return i, w.decide(w.actors[i]), true
}

// decide chooses the outcome of an actor's next call.
func (w *world) decide(a *actor) verdict {
	if a.crashed || a.pending == begin {
		return proceed
	}
	options := []verdict{proceed}
	if w.crashes > 0 {
		options = append(options, killBefore, killAfter)
	}
	if w.faults > 0 && a.pending.write && !a.cut {
		options = append(options, w.kinds...)
	}
	if len(options) == 1 {
		return proceed
	}
	v := options[w.choices.choose(len(options))]
	switch v {
	case proceed:
		return v
	case killBefore, killAfter:
		w.crashes--
	default:
		w.faults--
	}
	w.disturbed = true
	return v
}

// completeLater lets a write take effect at any later time.
func (w *world) completeLater(s step, f func() error) {
	a := &actor{name: "server"}
	a.run = func(a *actor) { _ = a.call(step{what: "late " + s.what, key: s.key}, f) }
	w.start(a)
	w.actors = append(w.actors, a)
}

// cutOff fails the remaining calls of every running operation, like an outage that lasts longer than all of them.
func (w *world) cutOff(except *actor) {
	for _, a := range w.actors {
		a.cut = a.cut || a != except && (a.busy || a.name == "server")
	}
}

func (w *world) String() string {
	var lines []string
	for _, n := range w.calls {
		line := n.actor + ": " + n.step.String()
		if n.verdict != proceed {
			line += "  <- " + n.verdict.String()
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n") + "\nstore:\n" + w.store.String()
}
