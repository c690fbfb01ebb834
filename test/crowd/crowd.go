// SPDX-License-Identifier: Apache-2.0

// Package crowd fills a cluster with the objects of many nodes: blocks, affinities with their labels, handles. It uses
// the store of the plugins, so that it writes the same objects as they do.
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
	// connections and perConnection limit the concurrent writes. A higher number does not make the server faster.
	connections, perConnection = 4, 24
	// claimed is the age of the blocks, so that the plugins treat an empty block as idle.
	claimed = time.Hour
)

// Group is a number of similar nodes.
type Group struct {
	// Nodes are the names of the nodes.
	Nodes []string
	// Pool is the pool in which each node has claimed a number of blocks: the first free ones of its walk, as by the
	// plugins.
	Pool   pool.Pool
	Blocks int
	// Held is the number of allocated addresses in each block, one for each pod.
	Held int
	// NoHandles omits the handles of the pods. No other pod reads them.
	NoHandles bool
}

// Names returns n node names in the form that cloud providers use.
func Names(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%04d.compute.internal", prefix, i)
	}
	return names
}

// Crowd writes the objects of groups to a cluster.
type Crowd struct {
	stores []*crdstore.Store
	now    time.Time

	mu    sync.Mutex
	taken map[netip.Prefix]bool
}

// New returns a crowd for the cluster of a kubeconfig. It makes no request. now is the timestamp of the objects.
func New(kubeconfig string, now time.Time) (*Crowd, error) {
	c := &Crowd{now: now, taken: map[netip.Prefix]bool{}}
	for range connections {
		client, err := kube.Load(kubeconfig, "calico-cni-test")
		if err != nil {
			return nil, err
		}
		c.stores = append(c.stores, crdstore.New(client, crdstore.V1, nodestate.Once("/nowhere")))
	}
	return c, nil
}

// Add writes the objects of a group. It skips blocks that already exist. It returns the number of blocks that the crowd
// now has in the pool of the group.
func (c *Crowd) Add(ctx context.Context, g Group) (blocks int, err error) {
	work := make([]*errgroup.Group, len(c.stores))
	for i := range work {
		work[i], _ = errgroup.WithContext(ctx)
		work[i].SetLimit(perConnection)
	}
	for i := range len(g.Nodes) * g.Blocks {
		name, at := g.Nodes[i/g.Blocks], i%len(c.stores)
		// Blocks are chosen sequentially, so that the choice is reproducible.
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

// choose returns the first free block of a node's walk through a pool, and marks it as taken.
func (c *Crowd) choose(p pool.Pool, name string) (netip.Prefix, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for cidr := range p.Space(pool.Ranges{}, nil).Walk(name) {
		if !c.taken[cidr] {
			c.taken[cidr] = true
			return cidr, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("add node %s: pool %s has no more blocks: use a larger pool", name, p.CIDR)
}

// claim writes a block, its affinity and its handles. If the block exists, it chooses another one.
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
		return fmt.Errorf("add node %s: %w", name, err)
	}
	key, affinity := ipam.AffinityKey{Node: name, CIDR: cidr}, ipam.Affinity{State: ipam.Confirmed}
	if _, err := s.Affinities().Create(ctx, key, affinity); err != nil {
		return fmt.Errorf("add node %s: %w", name, err)
	}
	for _, handle := range handles {
		value := ipam.Handle{ID: handle, Counts: map[netip.Prefix]int{cidr: 1}}
		if _, err := s.Handles().Create(ctx, handle, value); err != nil {
			return fmt.Errorf("add node %s: %w", name, err)
		}
	}
	return nil
}

// block returns a node's block with the addresses of its pods, and their handles.
func (c *Crowd) block(g Group, name string, cidr netip.Prefix) (b block.Block, handles []string, err error) {
	b = block.New(cidr, "host:"+name, c.now.Add(-claimed))
	for i := range g.Held {
		handle := pod(name, cidr, i)
		b.Sequence++
		if _, ok := b.Assign(c.owner(name, handle), nil); !ok {
			return b, nil, fmt.Errorf("add node %s: block %s has no room for %d pods", name, cidr, g.Held)
		}
		if !g.NoHandles {
			handles = append(handles, handle)
		}
	}
	return b, handles, nil
}

// pod returns the handle of the i-th pod of a block: the name of the network and a container ID of 64 digits.
func pod(name string, cidr netip.Prefix, i int) string {
	return fmt.Sprintf("k8s-pod-network.%x", sha256.Sum256(fmt.Appendf(nil, "%s %s %d", name, cidr, i)))
}

// owner returns the attributes of a pod in a block.
func (c *Crowd) owner(name, handle string) block.Attribute {
	return block.Attribute{Handle: handle, Owner: map[string]string{
		"node": name, "namespace": "default", "pod": "web-" + handle[len(handle)-10:], "timestamp": c.now.UTC().String(),
	}}
}
