// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"calico-cni/pkg/workload"
)

// Lease is an address that host-local has allocated.
type Lease struct {
	Addr netip.Addr
	// ContainerID is empty if host-local was interrupted while it wrote the file.
	ContainerID, IfName string
	// Since is the time when the lease was written.
	Since time.Time
}

func (l Lease) String() string {
	return fmt.Sprintf("%s of container %q, interface %s", l.Addr, l.ContainerID, l.IfName)
}

// same compares two leases without their time.
func same(a, b Lease) bool {
	return a.Addr == b.Addr && a.ContainerID == b.ContainerID && a.IfName == b.IfName
}

// Leases reads a directory of host-local, sorted by address. Files whose name is not an address are ignored.
//
// Source: host-local's backend "disk": one file per address, which contains the container ID and, since 2018, the
// interface name on a second line.
func Leases(store fs.FS) ([]Lease, error) {
	entries, err := fs.ReadDir(store, ".")
	if err != nil {
		return nil, fmt.Errorf("read host-local's leases: %w", err)
	}
	var leases []Lease
	for _, e := range entries {
		addr, err := netip.ParseAddr(e.Name())
		if err != nil || !e.Type().IsRegular() {
			continue
		}
		lease, err := read(store, e, addr.Unmap())
		if errors.Is(err, fs.ErrNotExist) {
			// The lease was released in the meantime.
			continue
		} else if err != nil {
			return nil, fmt.Errorf("read host-local's lease of %s: %w", addr, err)
		}
		leases = append(leases, lease)
	}
	slices.SortFunc(leases, func(a, b Lease) int { return a.Addr.Compare(b.Addr) })
	return leases, nil
}

func read(store fs.FS, e fs.DirEntry, addr netip.Addr) (Lease, error) {
	info, err := e.Info()
	if err != nil {
		return Lease{}, err
	}
	data, err := fs.ReadFile(store, e.Name())
	return parse(addr, string(data), info.ModTime()), err
}

// defaultIfName is the interface of leases that do not contain one.
const defaultIfName = "eth0"

func parse(addr netip.Addr, text string, since time.Time) Lease {
	id, ifName, _ := strings.Cut(strings.TrimSpace(text), "\n")
	l := Lease{Addr: addr, ContainerID: strings.TrimSpace(id), IfName: strings.TrimSpace(ifName), Since: since}
	if l.IfName == "" {
		l.IfName = defaultIfName
	}
	return l
}

// id returns the attachment of a lease, with its pod if the runtime's cache has it. An error means that the lease is
// not from a CNI runtime.
func (l Lease) id(pods cache) (workload.ID, error) {
	args := pods[attachment{l.ContainerID, l.IfName}]
	id, err := workload.Identify(l.ContainerID, l.IfName, args)
	if err != nil {
		id, err = workload.Identify(l.ContainerID, l.IfName, workload.Args{})
	}
	return id, err
}
