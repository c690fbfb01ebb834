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
	"path/filepath"
	"runtime"
	"slices"
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
	// GiveBack releases all addresses of an attachment. It succeeds if there are none.
	GiveBack(ctx context.Context, id workload.ID) error
}

// Migration migrates one network on one node.
type Migration struct {
	// Network is the name of the network. Networks is host-local's directory, with a subdirectory per network; Results
	// is the cache directory of the CNI library; Proc is the kernel's proc file system, with the routes.
	Network, Networks, Results, Proc string
	Addresses                        Addresses
	Now                              func() time.Time
	Log                              *slog.Logger
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
		case now == fenced:
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

// takeOver makes block IPAM agree with the leases: it allocates the addresses of live containers and releases the
// others.
func (m Migration) takeOver(ctx context.Context, leases []Lease) error {
	gone, err := m.journalLeases(leases)
	if err != nil {
		return err
	}
	if err := m.Addresses.Claim(ctx); err != nil {
		return err
	}
	signs := m.signs()
	var faults []error
	for _, l := range gone {
		faults = append(faults, m.giveBack(ctx, l))
	}
	taken := 0
	for _, l := range leases {
		if !signs.alive(l) {
			m.Log.Warn("skipping a lease of a container that the runtime does not know", "lease", l.String())
			faults = append(faults, m.giveBack(ctx, l))
			continue
		}
		if err := m.take(ctx, l, signs.cache); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", l, err))
			continue
		}
		taken++
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("%w: %d of %d were; create an IPPool for an address outside of all pools, or delete its "+
			"pod: %w", ErrUnsettled, taken, len(leases), err)
	}
	m.Log.Info("took over addresses", "addresses", taken, "skipped", len(leases)-taken)
	return nil
}

func (m Migration) take(ctx context.Context, l Lease, pods cache) error {
	id, err := l.id(pods)
	if err != nil {
		return err
	}
	held, err := m.Addresses.Held(ctx, id)
	if err != nil || slices.Contains(held, l.Addr) {
		return err
	}
	return m.Addresses.Take(ctx, id, l.Addr)
}

// giveBack releases the address of a lease that is gone or leaked.
func (m Migration) giveBack(ctx context.Context, l Lease) error {
	id, err := workload.Identify(l.ContainerID, l.IfName, workload.Args{})
	if err != nil {
		// Such a lease was never taken over.
		return nil
	}
	if err := m.Addresses.GiveBack(ctx, id); err != nil {
		return fmt.Errorf("release %s: %w", l, err)
	}
	return nil
}

// settle releases the addresses of containers that ended while their address was taken over, after which their leases
// need no more work. The other leases are kept for a later run.
func (m Migration) settle(ctx context.Context) error {
	if err := remove(m.journal()); err != nil {
		return err
	}
	leases, err := Leases(os.DirFS(m.aside()))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	signs, left := m.signs(), 0
	for _, l := range leases {
		if signs.alive(l) {
			left++
			continue
		}
		if err := m.giveBack(ctx, l); err != nil {
			return err
		}
		if err := remove(filepath.Join(m.aside(), l.Addr.String())); err != nil {
			return err
		}
	}
	m.Log.Info("node already migrated", "marker", m.store(), "remaining_leases", left)
	if left > 0 {
		return nil
	}
	return os.RemoveAll(m.aside())
}

func (m Migration) signs() signs {
	s := signs{cache: readCache(os.DirFS(m.Results), m.Network), now: m.Now()}
	if f, err := os.Open(filepath.Join(m.Proc, "route")); err == nil {
		s.routed = append(s.routed, routes4(f, runtime.GOARCH == "s390x")...)
		_ = f.Close()
	}
	if f, err := os.Open(filepath.Join(m.Proc, "ipv6_route")); err == nil {
		s.routed = append(s.routed, routes6(f)...)
		_ = f.Close()
	}
	return s
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
