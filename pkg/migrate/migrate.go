// Package migrate moves a node's addresses from the IPAM plugin host-local to block IPAM, while its pods run and keep
// them. It runs before the network configuration that asks for block IPAM is in place.
//
// Each lease of a live container becomes an allocation under the handle that a DEL looks for. Then, in one step, a file takes
// the place of host-local's directory: it says what happened, and whoever still runs host-local for the network fails,
// instead of giving an address a second time, until the new configuration is there. What was taken over is written down
// before, so that the next run of one that was killed finds it, and gives back what ended meanwhile.
//
// Nothing locks the cluster. Host-local's own lock is held while that file takes its place, and no longer.
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

// Networks is host-local's directory where its configuration names no other.
const Networks = "/var/lib/cni/networks"

// Bound is how long a run takes at most. The next one goes on where it ended.
const Bound = 2 * time.Minute

// rounds is how often a run starts over because containers came or went meanwhile.
const rounds = 10

// ErrUnsettled says that addresses could not be taken over. Host-local's leases are as they were.
var ErrUnsettled = errors.New("not all addresses could be taken over")

// Addresses is block IPAM as far as a migration needs it.
type Addresses interface {
	// Claim makes blocks the node's, so that it needs none of those from which other nodes' host-local gives addresses.
	Claim(ctx context.Context) error
	// Held returns what an attachment's handle holds.
	Held(ctx context.Context, id workload.ID) ([]netip.Addr, error)
	// Take allocates an address to an attachment.
	Take(ctx context.Context, id workload.ID, addr netip.Addr) error
	// GiveBack releases all that an attachment holds. To hold nothing is a success.
	GiveBack(ctx context.Context, id workload.ID) error
}

// Migration is that of one network on one node.
type Migration struct {
	// Network is its name. Networks is host-local's directory, with one of each network in it; Results, the CNI library's of
	// what it added; Proc, the kernel's with its routes.
	Network, Networks, Results, Proc string
	Addresses                        Addresses
	Now                              func() time.Time
	Log                              *slog.Logger
}

// Run migrates, or settles what is left of an earlier migration. It does nothing where host-local has given out nothing, and
// can be killed at any moment and run again. An error wraps ErrUnsettled, or what Addresses or the file system said.
func (m Migration) Run(ctx context.Context) error {
	ctx, cancel := deadline.Within(ctx, Bound, "the migration (its next run continues it)")
	defer cancel()
	unlock, err := m.only()
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
		m.Log.Info("containers came or went meanwhile: once more")
	}
	return fmt.Errorf("%w: containers come and go all the time; run it again", ErrUnsettled)
}

// takeOver brings block IPAM to what the leases say: what live containers have is held, what others had is not.
func (m Migration) takeOver(ctx context.Context, leases []Lease) error {
	gone, err := m.note(leases)
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
			m.Log.Warn("lease of no container that the runtime knows is left out", "lease", l.String())
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
		return fmt.Errorf("%w: %d of %d are; make an IPPool for an address that lies in none, or delete its pod: %w", ErrUnsettled, taken, len(leases), err)
	}
	m.Log.Info("addresses are taken over", "addresses", taken, "left out", len(leases)-taken)
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

// giveBack releases what was taken over for a lease that is gone, or nobody's.
func (m Migration) giveBack(ctx context.Context, l Lease) error {
	id, err := workload.Identify(l.ContainerID, l.IfName, workload.Args{})
	if err != nil {
		// Nothing can have been taken over for it.
		return nil
	}
	if err := m.Addresses.GiveBack(ctx, id); err != nil {
		return fmt.Errorf("give back %s: %w", l, err)
	}
	return nil
}

// settle gives back what containers held that ended while their address was taken over, after which nothing is left to do
// for their leases. Those of others stay until a later run.
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
	m.Log.Info("this node was migrated", "marker", m.store(), "addresses of that time", left)
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
