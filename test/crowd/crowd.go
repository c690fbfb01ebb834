// SPDX-License-Identifier: Apache-2.0

// Package crowd fills a cluster with what many nodes have written to it: blocks, affinities with their labels, handles.
// It writes through the product's own store, so that the rows are those that the plugins write.
package crowd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/kube"
)

const (
	// connections and perConnection bound the writes that are on their way: more do not make the server faster.
	connections, perConnection = 4, 24
	// claimed is how long ago the nodes claimed their blocks: one that is empty counts as idle.
	claimed = time.Hour
)

// Group is a number of nodes that are alike.
type Group struct {
	// Nodes are their names.
	Nodes []string
	// Pool is where each of them has claimed Blocks blocks, at the places where the plugins would: the first
	// free ones of its walk.
	Pool   pool.Pool
	Blocks int
	// Held is how many addresses of each block are taken, each by a pod of its own.
	Held int
	// NoHandles leaves the pods' handles out: a pod that wants an address reads no handle but its own.
	NoHandles bool
}

// Names returns n names of nodes, as a cloud gives them.
func Names(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%04d.compute.internal", prefix, i)
	}
	return names
}

// Crowd writes groups to one cluster.
type Crowd struct {
	stores []*crdstore.Store
	now    time.Time

	mu    sync.Mutex
	taken map[netip.Prefix]bool
}

// New returns a crowd for the cluster of a kubeconfig, without a request. now is the time of its rows.
func New(kubeconfig string, now time.Time) (*Crowd, error) {
	c := &Crowd{now: now, taken: map[netip.Prefix]bool{}}
	for range connections {
		client, err := kube.Load(kubeconfig, "calico-cni-test")
		if err != nil {
			return nil, err
		}
		c.stores = append(c.stores, crdstore.New(client, nodestate.Once("/nowhere")))
	}
	return c, nil
}

// Settle writes the rows of a group and returns how many blocks of the group's pool the crowd has now. A block that
// somebody else has is passed over.
func (c *Crowd) Settle(ctx context.Context, g Group) (blocks int, err error) {
	work := make([]*errgroup.Group, len(c.stores))
	for i := range work {
		work[i], _ = errgroup.WithContext(ctx)
		work[i].SetLimit(perConnection)
	}
	for i := range len(g.Nodes) * g.Blocks {
		name, at := g.Nodes[i/g.Blocks], i%len(c.stores)
		// The places are chosen one after the other, so that they are the same each time.
		cidr, chooseErr := c.choose(g.Pool, name)
		if err = chooseErr; err != nil {
			break
		}
		work[at].Go(func() error { return c.claim(ctx, c.stores[at], g, name, cidr) })
	}
	for _, w := range work {
		err = errors.Join(err, w.Wait())
	}
	for cidr := range c.taken {
		if g.Pool.CIDR.Contains(cidr.Addr()) {
			blocks++
		}
	}
	return blocks, err
}

// choose takes the first free place of a node's walk through a pool.
func (c *Crowd) choose(p pool.Pool, name string) (netip.Prefix, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for cidr := range p.Space(pool.Ranges{}, nil).Walk(name) {
		if !c.taken[cidr] {
			c.taken[cidr] = true
			return cidr, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("settle %s: pool %s has no more blocks; make it larger", name, p.CIDR)
}

// claim writes a block, another one when it turns out to be somebody's, and what belongs to it.
func (c *Crowd) claim(ctx context.Context, s *crdstore.Store, g Group, name string, cidr netip.Prefix) error {
	b, handles, err := c.block(g, name, cidr)
	if err != nil {
		return err
	}
	_, err = s.Blocks().Create(ctx, cidr, b)
	if errors.Is(err, ipam.ErrExists) {
		if cidr, err = c.choose(g.Pool, name); err != nil {
			return err
		}
		return c.claim(ctx, s, g, name, cidr)
	}
	if err != nil {
		return fmt.Errorf("settle %s: %w", name, err)
	}
	if _, err := s.Affinities().Create(ctx, ipam.AffinityKey{Node: name, CIDR: cidr}, ipam.Affinity{State: ipam.Confirmed}); err != nil {
		return fmt.Errorf("settle %s: %w", name, err)
	}
	for _, handle := range handles {
		if _, err := s.Handles().Create(ctx, handle, ipam.Handle{ID: handle, Counts: map[netip.Prefix]int{cidr: 1}}); err != nil {
			return fmt.Errorf("settle %s: %w", name, err)
		}
	}
	return nil
}

// block returns a node's block with its pods in it, and the handles to write for them.
func (c *Crowd) block(g Group, name string, cidr netip.Prefix) (b block.Block, handles []string, err error) {
	b = block.New(cidr, "host:"+name, c.now.Add(-claimed))
	for i := range g.Held {
		handle := pod(name, cidr, i)
		b.Sequence++
		if _, ok := b.Assign(c.owner(name, handle), nil); !ok {
			return b, nil, fmt.Errorf("settle %s: block %s has no room for %d pods", name, cidr, g.Held)
		}
		if !g.NoHandles {
			handles = append(handles, handle)
		}
	}
	return b, handles, nil
}

// pod is the handle of the i-th pod of a block: a network's name and the ID of a container, 64 digits.
func pod(name string, cidr netip.Prefix, i int) string {
	return fmt.Sprintf("k8s-pod-network.%x", sha256.Sum256(fmt.Appendf(nil, "%s %s %d", name, cidr, i)))
}

// owner is what a block says about a pod.
func (c *Crowd) owner(name, handle string) block.Attribute {
	return block.Attribute{Handle: handle, Owner: map[string]string{
		"node": name, "namespace": "default", "pod": "web-" + handle[len(handle)-10:], "timestamp": c.now.UTC().String(),
	}}
}
