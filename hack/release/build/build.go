// SPDX-License-Identifier: Apache-2.0

// Package build compiles the released binaries reproducibly: the same sources and the same Go give the same bytes
// anywhere.
package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Own are the project's binaries.
var Own = []string{"calico", "calico-ipam", "install"}

// pluginsModule contains the plugins that a network configuration chains after ours. The module test pins its version.
const pluginsModule = "github.com/containernetworking/plugins"

// pluginPaths are the packages of pluginsModule in the image, by the name of the binary.
var pluginPaths = map[string]string{
	"bandwidth": "meta/bandwidth", "host-local": "ipam/host-local", "loopback": "main/loopback",
	"portmap": "meta/portmap", "tuning": "meta/tuning",
}

// Platform is a platform of binaries.
type Platform struct{ OS, Arch string }

// String returns the platform in the format of Parse: linux/amd64.
func (p Platform) String() string { return p.OS + "/" + p.Arch }

// supported are the released platforms.
var supported = []Platform{{"linux", "amd64"}, {"linux", "arm64"}, {"linux", "s390x"}, {"linux", "ppc64le"}}

// Parse parses a comma-separated list of platforms.
func Parse(list string) ([]Platform, error) {
	var out []Platform
	for text := range strings.SplitSeq(list, ",") {
		goos, arch, _ := strings.Cut(strings.TrimSpace(text), "/")
		p := Platform{goos, arch}
		if !slices.Contains(supported, p) {
			return nil, fmt.Errorf("platform %q: want one of %v", text, supported)
		}
		if slices.Contains(out, p) {
			return nil, fmt.Errorf("platform %q is listed twice", text)
		}
		out = append(out, p)
	}
	return out, nil
}

// Tree is a source tree. The binaries report Version.
type Tree struct {
	Root, Version string
}

var validVersion = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// Validate returns an error if the version cannot be part of a file name and an image tag.
func (t Tree) Validate() error {
	if !validVersion.MatchString(t.Version) {
		return fmt.Errorf("version %q: want letters, digits, '.', '_' and '-', as in v1.2.3", t.Version)
	}
	return nil
}

// Binaries builds the project's own binaries into a directory.
func (t Tree) Binaries(ctx context.Context, p Platform, dir string) error {
	if err := t.Validate(); err != nil {
		return err
	}
	var packages []string
	for _, name := range Own {
		packages = append(packages, "./cmd/"+name)
	}
	return compile(ctx, t.Root, p, dir, "calico-cni/internal/buildinfo.Version="+t.Version, packages)
}

// Plugins builds the plugins that configurations chain after ours into a directory.
func (t Tree) Plugins(ctx context.Context, p Platform, dir string) error {
	module := filepath.Join(t.Root, "test")
	pinned, err := run(ctx, module, nil, "list", "-m", "-f", "{{.Version}}", pluginsModule)
	if err != nil {
		return err
	}
	var packages []string
	for _, path := range pluginPaths {
		packages = append(packages, pluginsModule+"/plugins/"+path)
	}
	slices.Sort(packages)
	return compile(ctx, module, p, dir, pluginsModule+"/pkg/utils/buildversion.BuildVersion="+pinned, packages)
}

// compile builds packages of the module in root. It fixes every environment setting that affects the output.
func compile(ctx context.Context, root string, p Platform, dir, variable string, packages []string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	env := []string{
		"CGO_ENABLED=0", "GOOS=" + p.OS, "GOARCH=" + p.Arch, "GOAMD64=v1", "GOARM64=v8.0", "GOPPC64=power8",
		"GOFLAGS=-mod=readonly -trimpath -buildvcs=false", "GOEXPERIMENT=", "GOWORK=off",
	}
	args := append([]string{"build", "-ldflags", "-s -w -buildid= -X " + variable, "-o", dir + "/"}, packages...)
	_, err = run(ctx, root, env, args...)
	return err
}

// run runs go in a directory and returns its output.
func run(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return "", fmt.Errorf("run go %s: %w: %s", strings.Join(args, " "), err, failed.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}
