// SPDX-License-Identifier: Apache-2.0

// Package migrate moves a node's addresses from the IPAM plugin host-local to block IPAM while the pods keep running
// with their addresses. It runs before the network configuration for block IPAM is installed.
//
// Each lease of a live container becomes an allocation under the handle that a DEL looks up. Then a file atomically
// replaces host-local's directory. The file explains the migration, and makes host-local fail for this network, so that
// it cannot allocate an address a second time before the new configuration is installed. A journal records the leases
// before they are taken over. If a run is killed, the next run finds them there and releases those whose containers
// have ended.
//
// The migration does not lock the cluster. It holds host-local's own lock only while it replaces the directory.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/workload"
)

// Networks is the default of host-local's directory.
const Networks = "/var/lib/cni/networks"

// Bound is the time limit of one run. The next run continues where it ended.
const Bound = 2 * time.Minute

// rounds is how often a run repeats because containers started or ended during it.
const rounds = 10

// ErrUnsettled: some addresses could not be taken over. Host-local's leases are unchanged.
var ErrUnsettled = errors.New("not all addresses could be taken over")

// Addresses is the part of block IPAM that a migration needs.
type Addresses interface {
	// Claim claims blocks for the node, so that it does not use blocks from which host-local on other nodes allocates.
	Claim(ctx context.Context) error
	// Held returns the addresses that an attachment's handle holds.
	Held(ctx context.Context, id workload.ID) ([]netip.Addr, error)
	// Take allocates an address to an attachment.
	Take(ctx context.Context, id workload.ID, addr netip.Addr) error
	// ReleaseAll releases all addresses of an attachment. It succeeds if there are none.
	ReleaseAll(ctx context.Context, id workload.ID) error
}

// Migration migrates one network on one node.
type Migration struct {
	// Network is the name of the network. Networks is host-local's directory, with a subdirectory per network; Results
	// is the cache directory of the CNI library; Proc is the kernel's proc file system, with the routes.
	Network, Networks, Results, Proc string
	// Open returns block IPAM. It is called only if there is something to migrate.
	Open func(ctx context.Context) (Addresses, error)
	Now  func() time.Time
	Log  *slog.Logger

	addresses Addresses
}

// Run migrates the network, or cleans up after an earlier migration. It does nothing if host-local has no leases. It
// can be killed at any time and run again. An error wraps ErrUnsettled, or an error of Addresses or the file system.
func (m Migration) Run(ctx context.Context) error {
	ctx, cancel := deadline.Within(ctx, Bound, "the migration (its next run continues it)")
	defer cancel()
	unlock, err := m.lockExclusively()
	if err != nil {
		return err
	}
	defer unlock()
	if err := m.finish(); err != nil {
		return err
	}
	for range rounds {
		now, err := m.state()
		switch {
		case err != nil:
			return err
		case now == absent:
			m.Log.Info("host-local has no leases on this node: nothing to migrate", "dir", m.store())
			return nil
		}
		if m.addresses == nil {
			if m.addresses, err = m.Open(ctx); err != nil {
				return err
			}
		}
		if now == fenced {
			return m.settle(ctx)
		}
		leases, err := Leases(os.DirFS(m.store()))
		if err != nil {
			return err
		}
		if err := m.takeOver(ctx, leases); err != nil {
			return err
		}
		if done, err := m.fence(ctx, leases); done || err != nil {
			return err
		}
		m.Log.Info("containers started or ended during the migration; repeating it")
	}
	return fmt.Errorf("%w: containers keep starting and ending; run it again", ErrUnsettled)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
