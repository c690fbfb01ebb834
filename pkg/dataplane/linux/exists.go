package linux

import (
	"errors"

	"golang.org/x/sys/unix"
)

// HasInterface reports whether the network namespace of the caller's thread has an interface of that name, also when the kernel
// cannot be asked. It takes three system calls, less than a netlink socket.
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
