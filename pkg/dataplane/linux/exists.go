package linux

import (
	"errors"

	"golang.org/x/sys/unix"
)

// HasInterface reports whether the network namespace of the calling thread has an interface of that name. It returns
// true if the kernel returns an error. It takes three system calls, fewer than a netlink socket.
func HasInterface(name string) bool {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return true
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true
	}
	defer func() { _ = unix.Close(fd) }()
	return !errors.Is(unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request), unix.ENODEV)
}
