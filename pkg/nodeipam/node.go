// SPDX-License-Identifier: Apache-2.0

// Package nodeipam is the IPAM of one node: it allocates and releases addresses, locks the node, caches the node's
// blocks, keeps records of attachments, queues releases while the API server cannot be reached, and collects leaked
// allocations.
package nodeipam

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/workload"
)

// ReleaseDeadline bounds a release. A release that takes longer is queued.
const ReleaseDeadline = 20 * time.Second

// Node is the IPAM of a node for one network.
type Node struct {
	Disk    Disk
	Network string
	// LockFile serializes the assignments of the node.
	LockFile string
	// Plugin is the type of the IPAM plugin in the network configuration.
	Plugin string
	// IPv4 and IPv6 are the request of a pod that requests nothing specific.
	IPv4, IPv6 Family
	// Subnet says that the main plugin configures the addresses with the prefix length of their block.
	Subnet bool
	Server Server
	// Group is the API group of Calico's objects.
	Group crdstore.Group
	// Scope is what a DEL depends on besides its attachment. A deletion record of another scope does not count.
	Scope string
	// Name returns the name of the Kubernetes node.
	Name func() (string, error)
	// Connect returns the connection to the API server, always the same one.
	Connect func() (Connection, error)
	// CheckExpiry returns an error if the credentials of the connection have expired. Nil means that the process renews
	// them.
	CheckExpiry func(now time.Time) error
	ReadFile    func(path string) ([]byte, error)
	Log         *slog.Logger
	// store is created once, because it counts the blocks of the cluster.
	store  *crdstore.Store
	opened sync.Once
}

// Connection sends the requests of a node to its API server. The plugins use *kube.Client; a daemon can use the
// transport of pkg/kubeapi/clientgo.
type Connection interface {
	crdstore.Transport
	// Host returns the URL of the API server without a password. It identifies the cluster of cached blocks.
	Host() string
}

// Server identifies an API server by the path of a kubeconfig, or by its URL without a password.
type Server struct{ Kubeconfig, APIRoot string }

// Allocations returns the allocations of the node. Connect must have succeeded.
func (n *Node) Allocations() Allocations {
	connection, _ := n.Connect()
	n.opened.Do(func() { n.store = crdstore.New(connection, n.Group, n.Disk.labelled()) })
	return Allocations{
		Store: n.store, Cluster: n.store, LockFile: n.LockFile, borrowed: n.Disk.borrowed(),
		cache: n.Disk.blockCache(connection, n.store), Now: n.Disk.Now, Log: n.Log,
	}
}

// HoldingsOf reads the handle of the attachment within ReleaseDeadline.
func (n *Node) HoldingsOf(ctx context.Context, id workload.ID) (Holdings, error) {
	ctx, cancel := deadline.Within(ctx, ReleaseDeadline, "the release of the addresses")
	defer cancel()
	return n.Allocations().Lookup(ctx, n.Network, id)
}

// UsualRequest returns the request of a pod that requests nothing specific.
func (n *Node) UsualRequest(node string) Request {
	return Request{Network: n.Network, Node: node, IPv4: n.IPv4, IPv6: n.IPv6, Subnet: n.Subnet}
}

// Collect settles the queued releases, then releases the leaked addresses and returns them.
func (n *Node) Collect(ctx context.Context, spared Spared) ([]netip.Addr, error) {
	node, err := n.Name()
	if err != nil {
		return nil, err
	}
	if _, err := n.Connect(); err != nil {
		return nil, err
	}
	n.Releases().SettleAll(ctx)
	freed, err := n.Allocations().Collect(ctx, node, spared)
	if err != nil {
		n.Health().Note(err, false)
		return freed.Addrs, err
	}
	n.Health().NoteRelease(freed)
	return freed.Addrs, nil
}

// Releases returns the release queue of the node.
func (n *Node) Releases() Releases { return Releases{node: n} }

// Health reports whether an ADD can get addresses.
func (n *Node) Health() Health { return Health{node: n} }
