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

// Lease is an address that host-local has given out.
type Lease struct {
	Addr netip.Addr
	// ContainerID is empty in a file that host-local had no time to write.
	ContainerID, IfName string
	// Since is when the lease was written.
	Since time.Time
}

func (l Lease) String() string {
	return fmt.Sprintf("%s of container %q, interface %s", l.Addr, l.ContainerID, l.IfName)
}

// same compares what a lease says.
func same(a, b Lease) bool {
	return a.Addr == b.Addr && a.ContainerID == b.ContainerID && a.IfName == b.IfName
}

// Leases reads a directory of host-local's, sorted by address. Files that are not named by an address are no leases.
//
// Source: host-local's backend "disk": a file an address, which holds the container's ID and, since 2018, in a second line
// the interface's name.
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
			// Given back a moment ago.
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

// usualIfName is that of leases which do not say it.
const usualIfName = "eth0"

func parse(addr netip.Addr, text string, since time.Time) Lease {
	id, ifName, _ := strings.Cut(strings.TrimSpace(text), "\n")
	l := Lease{Addr: addr, ContainerID: strings.TrimSpace(id), IfName: strings.TrimSpace(ifName), Since: since}
	if l.IfName == "" {
		l.IfName = usualIfName
	}
	return l
}

// id returns the attachment of a lease, with its pod as far as the runtime's cache knows it. An error says that no runtime
// can have asked for it.
func (l Lease) id(pods cache) (workload.ID, error) {
	args := pods[attachment{l.ContainerID, l.IfName}]
	id, err := workload.Identify(l.ContainerID, l.IfName, args)
	if err != nil {
		id, err = workload.Identify(l.ContainerID, l.IfName, workload.Args{})
	}
	return id, err
}
