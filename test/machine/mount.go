// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"calico-cni/test/cgroup"
)

// mount sets up the file system: that of the host, with separate directories where programs write.
func (s Spec) mount() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := cgroup.Mount(); err != nil {
		return err
	}
	if err := mountEtc(s.Disk); err != nil {
		return err
	}
	// These directories are kept across boots.
	for _, dir := range []string{"/opt", "/var/lib", "/var/log"} {
		own := filepath.Join(s.Disk, dir)
		if err := os.MkdirAll(own, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(own, dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	if err := maskSysctls(s.Sysctls); err != nil {
		return err
	}
	// This hides the rest of the test bed and the disks of other machines. The Spec has been read before.
	for _, dir := range []string{"/run", "/tmp"} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	if err := os.Chmod("/tmp", os.ModeSticky|0o777); err != nil {
		return err
	}
	// The kubelet must see the volumes that containers mount.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts: %w", err)
	}
	for _, dir := range []string{logDir, runDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// mountEtc overlays the host's /etc with the machine's files.
func mountEtc(disk string) error {
	upper, work := filepath.Join(disk, "etc"), filepath.Join(disk, ".etc")
	for _, dir := range []string{upper, work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	options := "lowerdir=/etc,upperdir=" + upper + ",workdir=" + work
	if err := unix.Mount("overlay", "/etc", "overlay", 0, options); err != nil {
		return fmt.Errorf("mount /etc: %w", err)
	}
	return nil
}

// maskSysctls mounts files with the given values over global kernel settings. Services find the values that they would
// set, and the settings of the host stay unchanged.
func maskSysctls(values map[string]string) error {
	for name, value := range values {
		mask, err := os.CreateTemp("", "sysctl-")
		if err != nil {
			return err
		}
		_, err = mask.WriteString(value + "\n")
		if err := errors.Join(err, mask.Close()); err != nil {
			return err
		}
		err = unix.Mount(mask.Name(), filepath.Join("/proc/sys", name), "", unix.MS_BIND, "")
		if err := errors.Join(err, os.Remove(mask.Name())); err != nil {
			return fmt.Errorf("mask setting %s: %w", name, err)
		}
	}
	return nil
}
