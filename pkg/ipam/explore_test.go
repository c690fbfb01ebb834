// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
)

var (
	modelRuns  = flag.Int("model.runs", 1000, "random interleavings to try of each situation")
	modelFirst = flag.Uint64("model.first", 0, "seed of the first random interleaving")
	modelSeed  = flag.Uint64("model.seed", 0, "try this one seed only")
)

// explore makes one run, and returns the first violation of an invariant.
func explore(t testing.TB, sit situation, choices chooser, crashes, faults, switches int) (*model, error) {
	m := newModel(t, sit, choices, crashes, faults, switches)
	err := m.play()
	if err == nil {
		err = m.failed
	}
	if err == nil {
		err = m.settle()
	}
	return m, err
}

// replay makes the choices of a list, and option 0 after its end. It records the number of options.
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

// breaches counts the failures. A test run for a mutant stops after the first.
var breaches atomic.Int32

func enough() bool { return os.Getenv("IPAM_MUTANT") != "" && breaches.Load() > 0 }

// TestEveryInterleavingOfSmallCases tries all interleavings with at most two preemptions; all with one preemption and
// one actor that is killed at one of its calls; and all with one preemption and one write that fails in a way that
// the situation allows. A short test allows one preemption less in each of these cases.
func TestEveryInterleavingOfSmallCases(t *testing.T) {
	for name, sit := range situations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if sit.many {
				return
			}
			runs := 0
			bounds := []struct{ crashes, faults, switches int }{{0, 0, 2}, {1, 0, 1}, {0, 1, 1}}
			for _, bound := range bounds {
				if testing.Short() {
					bound.switches--
				}
				if bound.faults > 0 && len(sit.faults) == 0 {
					continue
				}
				for list, more := []int(nil), true; more && !enough(); runs++ {
					r := &replay{list: list}
					m, err := explore(t, sit, r, bound.crashes, bound.faults, bound.switches)
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

// random chooses from a seed. It prefers option 0: to continue the last actor, without a fault.
type random struct{ *rand.Rand }

func (r random) choose(n int) int {
	if r.IntN(3) > 0 {
		return 0
	}
	return r.IntN(n)
}

// shortRuns is how many random interleavings of each situation a short test tries.
const shortRuns = 50

func runsOf(runs int) uint64 {
	if testing.Short() {
		return uint64(min(runs, shortRuns))
	}
	return uint64(runs)
}

func TestRandomInterleavings(t *testing.T) {
	for name, sit := range situations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range runsOf(*modelRuns) {
				if enough() {
					return
				}
				if seed += *modelFirst; *modelSeed != 0 {
					seed = *modelSeed
				}
				m, err := explore(t, sit, random{rand.New(rand.NewPCG(seed, 1))}, int(seed%3), int(seed/3%3), -1)
				if err != nil {
					breaches.Add(1)
					t.Fatalf("%v\nreplay with -model.seed=%d\n%s", err, seed, m)
				}
			}
		})
	}
}
