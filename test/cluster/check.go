// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// checkInterval is the interval of the checks.
const checkInterval = 500 * time.Millisecond

// Checker reads pods, kernel routes and blocks twice a second, and records states that must never exist:
//
//   - two pods have the same address
//   - an address is routed to two interfaces
//   - an address is routed to an interface but is free in its block, so that another pod could get it
//
// The reads are not atomic, so an object may disappear between two reads. Therefore the checker only records a state
// that it sees in two consecutive reads.
type Checker struct {
	state  State
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu     sync.Mutex
	rounds int
	wrong  []string
	pods   Owners // addresses that two pods had in the previous round
}

// Check starts a checker.
func (s State) Check(ctx context.Context) *Checker {
	ctx, cancel := context.WithCancel(ctx)
	k := &Checker{state: s, cancel: cancel}
	k.done.Go(func() {
		for ctx.Err() == nil {
			// Stop does not interrupt a round, because a round is short.
			k.round(context.WithoutCancel(ctx))
			select {
			case <-ctx.Done():
			case <-time.After(checkInterval):
			}
		}
	})
	return k
}

// Stop stops the checker. It returns the number of rounds and an error with the recorded states.
func (k *Checker) Stop() (rounds int, err error) {
	k.cancel()
	k.done.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.wrong) > 0 {
		slices.Sort(k.wrong)
		err = errors.New(strings.Join(slices.Compact(k.wrong), "\n"))
	}
	return k.rounds, err
}

func (k *Checker) round(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	before, err := k.state.RouteAddrs()
	if err != nil {
		return // a node that is being switched off
	}
	pods, podErr := k.state.PodAddrs(ctx, false)
	blocks, blockErr := k.state.BlockAddrs(ctx)
	after, err := k.state.RouteAddrs()
	if err != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rounds++
	routes := both(before, after)
	if blockErr == nil {
		k.wrong = append(k.wrong, compare(routes, blocks)...)
	} else {
		// Without the API server only the kernel routes can be checked.
		k.wrong = append(k.wrong, compare(routes, before)...)
	}
	if podErr == nil {
		twice := shared(pods)
		for addr, owners := range both(k.pods, twice) {
			k.wrong = append(k.wrong, fmt.Sprintf("%s is the address of pods %s", addr, strings.Join(owners, " and ")))
		}
		k.pods = twice
	}
}

// compare returns the errors in the kernel routes, given the blocks.
func compare(routes, blocks Owners) []string {
	var wrong []string
	for addr, owners := range routes {
		if len(owners) > 1 {
			wrong = append(wrong, fmt.Sprintf("%s is routed to %s", addr, strings.Join(owners, " and ")))
		}
		if len(blocks[addr]) == 0 {
			wrong = append(wrong, fmt.Sprintf("%s is routed to %s but free", addr, strings.Join(owners, " and ")))
		}
	}
	return wrong
}

// both returns the owners that are in both a and b.
func both(a, b Owners) Owners {
	in := Owners{}
	for addr, owners := range a {
		for _, owner := range owners {
			if slices.Contains(b[addr], owner) {
				in[addr] = append(in[addr], owner)
			}
		}
	}
	return in
}

// shared returns the addresses with more than one owner.
func shared(o Owners) Owners {
	out := Owners{}
	for addr, owners := range o {
		if len(owners) > 1 {
			out[addr] = owners
		}
	}
	return out
}

// Settle waits until the blocks and kernels have exactly the addresses of the existing pods. The error shows the
// differences.
func (s State) Settle(ctx context.Context) error {
	for {
		err := s.settled(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(checkInterval):
		}
	}
}

func (s State) settled(ctx context.Context) error {
	pods, err := s.PodAddrs(ctx, true)
	if err != nil {
		return err
	}
	blocks, err := s.BlockAddrs(ctx)
	if err != nil {
		return err
	}
	routes, err := s.RouteAddrs()
	if err != nil {
		return err
	}
	nodes := func(o Owners) string {
		out := Owners{}
		for addr, owners := range o {
			for _, owner := range owners {
				node, _, _ := strings.Cut(owner, " ")
				out[addr] = append(out[addr], node)
			}
		}
		return out.text()
	}
	if pods.text() != blocks.text() || nodes(blocks) != nodes(routes) {
		return fmt.Errorf("addresses differ\nof pods:\n%sin blocks:\n%srouted:\n%s", pods.text(), blocks.text(),
			routes.text())
	}
	return nil
}
