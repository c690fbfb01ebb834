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

// mount makes the file system: the host's, with directories of the machine's own where programs write.
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
	// What survives a boot.
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
	// The specification is read: what is hidden here from now on is the rest of the test bed, and other machines' disks.
	for _, dir := range []string{"/run", "/tmp"} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	if err := os.Chmod("/tmp", os.ModeSticky|0o777); err != nil {
		return err
	}
	// Volumes that containers mount are to be seen by the kubelet.
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

// mountEtc lays the machine's own files over the host's /etc.
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

// maskSysctls hides settings that are the whole kernel's behind files with the value that a service would give them: it
// finds them right, and the host's stay as they are.
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
			return fmt.Errorf("hide setting %s: %w", name, err)
		}
	}
	return nil
}
