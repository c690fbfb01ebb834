// SPDX-License-Identifier: Apache-2.0

// Package vm runs programs on another kernel than the machine's: a kernel of Debian in a guest that qemu emulates in
// software, without hardware support.
package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Kernel is the image of a kernel and the modules that a guest loads, in order.
type Kernel struct {
	Image   string
	Modules []string
}

// modules are the modules for network tests that Debian does not compile in, each after its dependencies.
var modules = []string{"net/llc/llc", "net/802/stp", "net/bridge/bridge", "drivers/net/veth", "net/sched/sch_tbf"}

// metaPackage depends on the newest kernel for virtual machines.
const metaPackage = "linux-image-cloud-amd64"

// Fetch downloads the newest kernel in the backports of this Debian release and unpacks it into an empty directory. It
// uses the mirror of the system's apt configuration, and apt verifies the package. The system's configuration and lists
// stay unchanged.
func Fetch(ctx context.Context, dir string) (Kernel, error) {
	a := apt{dir: dir}
	if err := a.configure(ctx); err != nil {
		return Kernel{}, err
	}
	if _, err := a.run(ctx, "apt-get", "update", "-qq"); err != nil {
		return Kernel{}, err
	}
	depends, err := a.run(ctx, "apt-cache", "depends", metaPackage)
	if err != nil {
		return Kernel{}, err
	}
	name := regexp.MustCompile(`(?m)^\s*Depends: (linux-image-\S+)$`).FindStringSubmatch(depends)
	if name == nil {
		return Kernel{}, fmt.Errorf("%s depends on no kernel: %s", metaPackage, depends)
	}
	if _, err := a.run(ctx, "apt-get", "download", "-qq", name[1]); err != nil {
		return Kernel{}, err
	}
	return unpack(ctx, dir)
}

// unpack unpacks the only package in a directory and returns its kernel and modules.
func unpack(ctx context.Context, dir string) (Kernel, error) {
	deb, err := one(filepath.Join(dir, "*.deb"))
	if err != nil {
		return Kernel{}, err
	}
	root := filepath.Join(dir, "root")
	if _, err := output(ctx, dir, "dpkg-deb", "-x", deb, root); err != nil {
		return Kernel{}, err
	}
	image, err := one(filepath.Join(root, "boot/vmlinuz-*"))
	if err != nil {
		return Kernel{}, err
	}
	k := Kernel{Image: image}
	for _, module := range modules {
		file, err := one(filepath.Join(root, "lib/modules/*/kernel", module+".ko*"))
		if err != nil {
			return Kernel{}, err
		}
		k.Modules = append(k.Modules, file)
	}
	return k, nil
}

// apt runs apt with sources, lists and cache in a separate directory.
type apt struct {
	dir string
}

// configure writes a source for the backports of the system's release, with the mirror of the system's configuration.
func (a apt) configure(ctx context.Context) error {
	mirror, err := output(ctx, a.dir, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages",
		"Origin: Debian")
	if err != nil {
		return err
	}
	mirror, _, _ = strings.Cut(mirror, "\n")
	release, err := output(ctx, a.dir, "sh", "-c", ". /etc/os-release && echo $VERSION_CODENAME")
	if err != nil {
		return err
	}
	if mirror == "" || release == "" {
		return errors.New("find Debian mirror: add one to the sources of apt")
	}
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.dir, sub), 0o755); err != nil {
			return err
		}
	}
	source := fmt.Sprintf("deb %s %s-backports main\n", mirror, release)
	return os.WriteFile(filepath.Join(a.dir, "sources.list"), []byte(source), 0o644)
}

func (a apt) run(ctx context.Context, program string, args ...string) (string, error) {
	options := []string{
		"-o", "Dir::Etc::SourceList=" + filepath.Join(a.dir, "sources.list"), "-o", "Dir::Etc::SourceParts=-",
		"-o", "Dir::State::Lists=" + filepath.Join(a.dir, "lists"), "-o", "Dir::Cache=" + filepath.Join(a.dir, "cache"),
		"-o", "APT::Sandbox::User=root", // apt's user has no access to the directory
	}
	return output(ctx, a.dir, program, append(options, args...)...)
}

// one returns the only file that matches a pattern.
func one(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%s: %d files, want one", pattern, len(found))
	}
	return found[0], nil
}

// output runs a program in a directory and returns its output without the last newline.
func output(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run %s %s: %w: %s", program, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
