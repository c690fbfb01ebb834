// SPDX-License-Identifier: Apache-2.0

// Package fault defines the errors of all parts of install, and the remedies for errors of the operating system.
package fault

import (
	"errors"
	"syscall"
)

var (
	// ErrConfig: a flag, an environment variable or a template is invalid. A retry does not help.
	ErrConfig = errors.New("invalid configuration")
	// ErrDiffers: the host differs from the desired state, or uninstall left something. The output or the log names it.
	ErrDiffers = errors.New("host is not in the desired state")
)

// Remedy returns what to do about an error of the operating system, for appending to its text. It is empty for errors
// that name their own remedy.
func Remedy(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "; free space on the node's file system"
	case errors.Is(err, syscall.EROFS):
		return "; mount the directory read-write"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return "; let the container run as root with the capability DAC_OVERRIDE, " +
			"and allow it the directory where SELinux or AppArmor is enforced"
	}
	return ""
}
