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

// checkInterval is how often the checker looks.
const checkInterval = 500 * time.Millisecond

// Checker looks at pods, kernel routes and blocks twice a second, and keeps what must never be:
//
//   - an address that two pods have
//   - an address that is routed to two interfaces
//   - an address that is routed to an interface, and free in its block: somebody else would get it
//
// A moment is not one: reading takes time, and what is read first may have gone when the rest is read. So what counts is
// what was there before and after.
type Checker struct {
	cluster *Cluster
	cancel  context.CancelFunc
	done    sync.WaitGroup

	mu     sync.Mutex
	rounds int
	wrong  []string
	pods   Owners // those that two pods had in the round before
}

// Check starts a checker.
func (c *Cluster) Check(ctx context.Context) *Checker {
	ctx, cancel := context.WithCancel(ctx)
	k := &Checker{cluster: c, cancel: cancel}
	k.done.Go(func() {
		for ctx.Err() == nil {
			// A look that has begun is finished; it does not take long.
			k.round(context.WithoutCancel(ctx))
			select {
			case <-ctx.Done():
			case <-time.After(checkInterval):
			}
		}
	})
	return k
}

// Stop ends the checker and returns what it has seen wrong, and how often it has looked.
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
	before, err := k.cluster.RouteAddrs()
	if err != nil {
		return // a node that is being switched off
	}
	pods, podErr := k.cluster.PodAddrs(ctx, false)
	blocks, blockErr := k.cluster.BlockAddrs(ctx)
	after, err := k.cluster.RouteAddrs()
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
		// Without the API server there is still the kernel to ask.
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

// compare returns what is wrong with what the kernels route, given what the blocks say.
func compare(routes, blocks Owners) []string {
	var wrong []string
	for addr, owners := range routes {
		if len(owners) > 1 {
			wrong = append(wrong, fmt.Sprintf("%s is routed to %s", addr, strings.Join(owners, " and ")))
		}
		if len(blocks[addr]) == 0 {
			wrong = append(wrong, fmt.Sprintf("%s is routed to %s, and free", addr, strings.Join(owners, " and ")))
		}
	}
	return wrong
}

// both returns the owners that are in a and in b.
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

// Settle waits until blocks and kernels have exactly the addresses of the pods there are. The error says what differs.
func (c *Cluster) Settle(ctx context.Context) error {
	for {
		err := c.settled(ctx)
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

func (c *Cluster) settled(ctx context.Context) error {
	pods, err := c.PodAddrs(ctx, true)
	if err != nil {
		return err
	}
	blocks, err := c.BlockAddrs(ctx)
	if err != nil {
		return err
	}
	routes, err := c.RouteAddrs()
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
		return fmt.Errorf("addresses differ\nof pods:\n%sin blocks:\n%srouted:\n%s", pods.text(), blocks.text(), routes.text())
	}
	return nil
}
