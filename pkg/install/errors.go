package install

import (
	"errors"
	"syscall"

	"calico-cni/conflist"
)

var (
	// ErrConfig: a flag or an environment variable has a value that it cannot have. Trying again will not help.
	ErrConfig = errors.New("invalid configuration")
	// ErrBinaries: no directory of the host holds the binaries.
	ErrBinaries = errors.New("binaries are not on the host")
	// ErrBadBinary: a copy is not the plugin that it should be. The file on the host stays as it was.
	ErrBadBinary = errors.New("refused binary")
	// ErrRefused: the API server does not know the credentials.
	ErrRefused = errors.New("credentials refused")
	// ErrDiffers: something on the host is not as it should be, or was left there. The output or the log names it.
	ErrDiffers = errors.New("not everything is as it should be")
	// ErrOthersList: the list to chain into is none that a runtime would load. See its owner.
	ErrOthersList = errors.New("the list of others is damaged")
	// ErrNewerRecord: a later version recorded what it installed, in a format that this one cannot read.
	ErrNewerRecord = errors.New("record of a newer format")
	// ErrContested: somebody undoes the repairs, which are spaced for that.
	ErrContested = errors.New("changed again after a repair")
)

// Exit codes of the command.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitConfig = 2
	ExitDiffer = 3
)

// ExitCode returns the exit code that an error of Parse or Run stands for.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, ErrOthersList):
		return ExitFailed
	case errors.Is(err, ErrConfig), errors.Is(err, conflist.ErrInvalid):
		return ExitConfig
	case errors.Is(err, ErrDiffers):
		return ExitDiffer
	default:
		return ExitFailed
	}
}

// cure says what to do about errors of the operating system, which do not say it themselves.
func cure(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "; free space on the node's file system"
	case errors.Is(err, syscall.EROFS):
		return "; mount the directory read-write"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return "; let the container run as root with the capability DAC_OVERRIDE, and allow it the directory where SELinux or AppArmor is enforced"
	}
	return ""
}
