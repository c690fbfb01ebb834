// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"

	"calico-cni/conflist"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/network"
)

// Exit codes of the command.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitConfig = 2
	ExitDiffer = 3
)

// ExitCode returns the exit code for an error of config.Parse or Run.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, network.ErrForeignList):
		// A retry helps once the owner of the list has written it.
		return ExitFailed
	case errors.Is(err, fault.ErrConfig), errors.Is(err, conflist.ErrInvalid):
		return ExitConfig
	case errors.Is(err, fault.ErrDiffers):
		return ExitDiffer
	default:
		return ExitFailed
	}
}
