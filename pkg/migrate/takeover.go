// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/workload"
)

// takeOver makes block IPAM agree with the leases: it allocates the addresses of live containers and releases the
// others.
func (m Migration) takeOver(ctx context.Context, leases []Lease) error {
	gone, err := m.journalLeases(leases)
	if err != nil {
		return err
	}
	if err := m.addresses.Claim(ctx); err != nil {
		return err
	}
	signs := m.signs()
	var faults []error
	for _, l := range gone {
		faults = append(faults, m.release(ctx, l))
	}
	taken := 0
	for _, l := range leases {
		if !signs.alive(l) {
			m.Log.Warn("skipping a lease without a live container", "lease", l.String())
			faults = append(faults, m.release(ctx, l))
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
	held, err := m.addresses.Held(ctx, id)
	if err != nil || slices.Contains(held, l.Addr) {
		return err
	}
	return m.addresses.Take(ctx, id, l.Addr)
}

// release releases the address of a lease that is gone or leaked.
func (m Migration) release(ctx context.Context, l Lease) error {
	id, err := workload.Identify(l.ContainerID, l.IfName, workload.Args{})
	if err != nil {
		// A lease with an invalid container ID was never taken over.
		return nil
	}
	if err := m.addresses.ReleaseAll(ctx, id); err != nil {
		return fmt.Errorf("release %s: %w", l, err)
	}
	return nil
}

// settle releases the addresses of containers that ended while their address was taken over, and removes their leases.
// It keeps the other leases for a later run.
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
		if err := m.release(ctx, l); err != nil {
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

// journalLeases adds the leases to the journal before their addresses are taken over. It returns the entries of earlier
// runs whose containers no longer have a lease.
func (m Migration) journalLeases(leases []Lease) (gone []Lease, err error) {
	data, err := safeopen.Read(m.journal())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the journal of an earlier migration: %w", err)
	}
	lines := strings.Fields(string(data))
	for _, l := range leases {
		if line := l.ContainerID + "/" + l.IfName; l.ContainerID != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	for _, line := range lines {
		id, ifName, _ := strings.Cut(line, "/")
		if !slices.ContainsFunc(leases, func(l Lease) bool { return l.ContainerID == id && l.IfName == ifName }) {
			gone = append(gone, Lease{ContainerID: id, IfName: ifName})
		}
	}
	if _, err := atomicfile.WriteFile(m.journal(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write the journal of the migration: %w", err)
	}
	return gone, nil
}
