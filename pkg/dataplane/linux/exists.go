package linux

import (
	"os"
	"slices"
)

// interfacesDir has a directory for each interface of the network namespace of the thread that reads it, and "all" and
// "default". To list it costs less than a netlink dump, which returns all attributes of each interface.
const interfacesDir = "/proc/sys/net/ipv4/conf"

// HasWorkload reports whether the network namespace of the caller's thread may have an interface of the workload of one of
// the names. Only the ends of names count, which identify the workload: the prefix may have been configured anew since the
// interface was made. An empty name stands for no interface. It returns true when the interfaces cannot be listed.
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
		return slices.ContainsFunc(names, func(wanted string) bool { return name == wanted || sameWorkload(name, wanted) })
	})
}
