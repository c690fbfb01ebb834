// SPDX-License-Identifier: Apache-2.0

// Package cgroup creates and removes control groups for the nodes of a test cluster, below those of the calling
// process. It supports cgroup v1, which the runc and the kubelet of the nodes use.
package cgroup

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// root is the parent of the mount points of the hierarchies.
const root = "/sys/fs/cgroup"

// removeTimeout limits the wait for the kernel to release a group whose processes have ended.
const removeTimeout = 20 * time.Second

// ErrNoV1 reports that the machine has no cgroup v1 hierarchies.
var ErrNoV1 = errors.New("no cgroup v1 at " + root + ": the cluster needs a machine with cgroup v1")

// Group is a directory in each hierarchy.
type Group []string

// Create creates a group below the caller's own in every hierarchy, if it does not exist.
func Create(name string) (Group, error) {
	g, err := Below(name)
	if err != nil {
		return nil, err
	}
	return g, g.create()
}

// Below returns the group that Create creates, whether it exists or not.
func Below(name string) (Group, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("list hierarchies: %w", err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("list own groups: %w", err)
	}
	paths := ownPaths(own)
	var g Group
	for _, controller := range controllers(mounts) {
		g = append(g, filepath.Join(root, controller, paths[controller], name))
	}
	if len(g) == 0 {
		return nil, ErrNoV1
	}
	return g, nil
}

// controllers returns the names of the mount points of v1 hierarchies in /proc/self/mounts.
func controllers(mounts []byte) []string {
	var names []string
	lines := bufio.NewScanner(bytes.NewReader(mounts))
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) > 2 && f[2] == "cgroup" && filepath.Dir(f[1]) == root {
			names = append(names, filepath.Base(f[1]))
		}
	}
	return names
}

// ownPaths returns the path of the process in each hierarchy, from /proc/self/cgroup: "4:memory:/a/b", cgroups(7).
func ownPaths(own []byte) map[string]string {
	paths := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(own))
	for lines.Scan() {
		f := strings.SplitN(lines.Text(), ":", 3)
		if len(f) < 3 {
			continue
		}
		paths[f[1]] = f[2]
		for name := range strings.SplitSeq(f[1], ",") {
			paths[strings.TrimPrefix(name, "name=")] = f[2]
		}
	}
	return paths
}

// Child creates a group below this one.
func (g Group) Child(name string) (Group, error) {
	var child Group
	for _, dir := range g {
		child = append(child, filepath.Join(dir, name))
	}
	return child, child.create()
}

func (g Group) create() error {
	for _, dir := range g {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("create group: %w", err)
		}
		// A new cpuset is empty and accepts no process until it has CPUs and memory nodes.
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(filepath.Dir(dir), name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), value, 0o644)
			}
			if err != nil {
				return fmt.Errorf("set cpuset: %w", err)
			}
		}
	}
	return nil
}

// Join moves the calling process into the group.
func (g Group) Join() error {
	for _, dir := range g {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0o644); err != nil {
			return fmt.Errorf("join group: %w", err)
		}
	}
	return nil
}

// Remove removes the group and all groups below it. The caller has killed their processes. Remove waits until they have
// ended.
func (g Group) Remove() error {
	deadline := time.Now().Add(removeTimeout)
	for {
		err := g.removeEmpty()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// removeEmpty removes the groups once. It fails if a group still has processes.
func (g Group) removeEmpty() error {
	var errs []error
	for _, top := range g {
		var dirs []string
		err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, dir := range slices.Backward(dirs) {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("remove group: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}

// Mount replaces the hierarchies of the machine by those of the caller's cgroup namespace, whose roots are the caller's
// groups. The caller needs its own mount namespace.
func Mount() error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return fmt.Errorf("list hierarchies: %w", err)
	}
	names := controllers(mounts)
	if err := unix.Unmount("/sys", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount /sys: %w", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount %s: %w", root, err)
	}
	for _, name := range names {
		dir, options := filepath.Join(root, name), name
		if name == "systemd" {
			options = "none,name=systemd"
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("cgroup", dir, "cgroup", 0, options); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	return nil
}
