package ipam_test

import (
	"errors"
	"fmt"
	"strings"

	"calico-cni/pkg/ipam/memstore"
)

// A chooser decides what happens next: one of n options, numbered from 0. The same choices make the same run.
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
	// switches bounds how often the scheduler leaves an actor that could go on; negative is no bound.
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

// actor is one process: a sequence of operations that ends, or is killed at one of its calls.
type actor struct {
	w       *world
	name    string
	run     func(*actor)
	resume  chan verdict
	parked  chan step
	pending step
	crashed bool
	// busy says that an operation is running; cut, that its remaining requests fail.
	busy, cut bool
}

// step is what an actor is about to do. The zero value says that it has ended.
type step struct {
	what string
	key  any
	// write says that the step is a write to the store.
	write bool
}

var begin = step{what: "begin"}

func (s step) String() string {
	if s.key == nil {
		return s.what
	}
	return fmt.Sprintf("%s %v", s.what, s.key)
}

// verdict is what happens at a call.
type verdict int

const (
	proceed verdict = iota
	killBefore
	killAfter
	// twice makes a write twice and returns the second answer, as a transport does that repeats a request.
	twice
	// lost makes a write and fails it, as a connection does that breaks before the answer.
	lost
	// late fails a write, which takes effect at any time later: the server still has it.
	late
	// refused fails a write, which takes no effect.
	refused
)

func (v verdict) String() string {
	return [...]string{
		"", "killed before it", "killed after it", "made twice", "answer lost", "takes effect later", "refused",
	}[v]
}

var (
	// errCrashed is what a process that no longer exists gets from the store.
	errCrashed = errors.New("crashed")
	// errLost is a request whose effect is unknown.
	errLost = errors.New("no answer")
)

// play runs all actors to their end, and returns the first breach.
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

// growStack has the goroutine's stack grow once while it is small, instead of several times while it is deep: a fifth of
// the time of a run.
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

// next chooses who goes on, and what happens there. It prefers, as option 0, the actor that went last.
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

// decide chooses what happens at an actor's next call.
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

// call is one call by an actor: it waits for its turn.
func (a *actor) call(s step, f func() error) error {
	if a.crashed {
		return errCrashed
	}
	a.parked <- s
	v := <-a.resume
	if a.cut {
		return errLost
	}
	switch v {
	case killBefore:
		a.crashed = true
		return errCrashed
	case killAfter:
		a.crashed = true
		_ = f()
		return errCrashed
	case twice:
		_ = f()
	case lost:
		_ = f()
		return errLost
	case late:
		a.w.leave(s, f)
		return errLost
	case refused:
		return errLost
	}
	return f()
}

// leave has a write take effect at any time later.
func (w *world) leave(s step, f func() error) {
	a := &actor{name: "server"}
	a.run = func(a *actor) { _ = a.call(step{what: "late " + s.what, key: s.key}, f) }
	w.start(a)
	w.actors = append(w.actors, a)
}

// cutOff fails what is left of every operation that runs, as an outage does that lasts longer than each of them.
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
