// SPDX-License-Identifier: Apache-2.0

// Package vm runs programs on a kernel that the machine does not have: one of Debian's, in a guest that qemu emulates in
// software, so that it takes no support by the hardware.
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

// Kernel is a kernel's image and its modules that a guest loads, in that order.
type Kernel struct {
	Image   string
	Modules []string
}

// modules are what network tests need and Debian does not compile in, each after those that it needs itself.
var modules = []string{"net/llc/llc", "net/802/stp", "net/bridge/bridge", "drivers/net/veth", "net/sched/sch_tbf"}

// metaPackage depends on the newest of the kernels for virtual machines.
const metaPackage = "linux-image-cloud-amd64"

// Fetch downloads the newest kernel that Debian has for this release, from its backports, and unpacks it into an empty
// directory. It asks the mirror that apt is configured with, and apt verifies what comes; the system's configuration and
// lists stay as they are.
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

// unpack finds kernel and modules in the one package of a directory.
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

// apt is apt with sources, lists and cache beneath a directory of its own.
type apt struct {
	dir string
}

// configure names the backports of the system's release at the mirror that its apt is configured with.
func (a apt) configure(ctx context.Context) error {
	mirror, err := output(ctx, a.dir, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian")
	if err != nil {
		return err
	}
	mirror, _, _ = strings.Cut(mirror, "\n")
	release, err := output(ctx, a.dir, "sh", "-c", ". /etc/os-release && echo $VERSION_CODENAME")
	if err != nil {
		return err
	}
	if mirror == "" || release == "" {
		return errors.New("no Debian mirror among apt's sources: kernels come from there")
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
		"-o", "APT::Sandbox::User=root", // The directory is not open to apt's own user.
	}
	return output(ctx, a.dir, program, append(options, args...)...)
}

// one returns the only file that a pattern matches.
func one(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%s: %d files, want one", pattern, len(found))
	}
	return found[0], nil
}

// output runs a program in a directory and returns what it prints, without the last newline.
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
