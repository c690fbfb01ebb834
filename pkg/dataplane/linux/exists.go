// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"os"
	"slices"
)

// interfacesDir has a directory for each interface in the network namespace of the reading thread, and the directories
// "all" and "default". Listing it is cheaper than a netlink dump, which returns all attributes of each interface.
const interfacesDir = "/proc/sys/net/ipv4/conf"

// HasWorkload reports whether the network namespace of the calling thread may have an interface of the workload of one
// of the names. It compares only the suffixes, which identify the workload, because the prefix is configurable and may
// have changed. An empty name matches no interface. It returns true if the interfaces cannot be listed.
func HasWorkload(names ...string) bool {
	dir, err := os.Open(interfacesDir)
	if err != nil {
		return true
	}
	defer func() { _ = dir.Close() }()
	there, err := dir.Readdirnames(-1)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(there, func(name string) bool {
		return slices.ContainsFunc(names, func(wanted string) bool {
			return name == wanted || sameWorkload(name, wanted)
		})
	})
}
