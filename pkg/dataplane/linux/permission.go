// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"calico-cni/pkg/dataplane"
)

// Remedies for operations that the kernel denies for lack of a privilege.
const (
	toOpen = "this takes CAP_SYS_PTRACE for a path in /proc, and else read permission for the file: " + asRoot
	// toEnter is for setns(2).
	toEnter = "this takes CAP_SYS_ADMIN: " + asRoot
	// toConfigure is for netlink requests.
	toConfigure = "this takes CAP_NET_ADMIN for the network namespaces of the pod and of the host: " + asRoot
	toWrite     = "writing it takes CAP_NET_ADMIN, and /proc/sys mounted read-write: " + asRoot
	asRoot      = "run the container runtime as root with all capabilities, and with no seccomp or LSM profile that " +
		"forbids it"
)

// deniedError is an operation denied for lack of a privilege, with the remedy.
type deniedError struct {
	err    error
	remedy string
}

func (d *deniedError) Error() string { return d.err.Error() + ": " + d.remedy }
func (d *deniedError) Unwrap() error { return d.err }

// Is reports whether target is dataplane.ErrDenied.
func (d *deniedError) Is(target error) bool { return target == dataplane.ErrDenied }

// explain adds the remedy to an error caused by a missing privilege, unless it already has one.
func explain(err error, remedy string) error {
	var explained *deniedError
	if !errors.Is(err, unix.EPERM) || errors.As(err, &explained) {
		return err
	}
	return &deniedError{err, remedy}
}

// explainFile does the same for a file operation, which may also lack a file permission.
func explainFile(err error, remedy string) error {
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS) {
		return &deniedError{err, remedy}
	}
	return explain(err, remedy)
}

// explainIPv6 adds the cause to an error of adding an IPv6 address. The kernel returns a permission error if IPv6 is
// disabled.
func explainIPv6(err error, ifName string) error {
	if errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w: IPv6 is disabled on %s: keep other programs from setting its sysctl disable_ipv6", err,
			ifName)
	}
	return err
}
