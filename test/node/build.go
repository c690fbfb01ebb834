// SPDX-License-Identifier: Apache-2.0

// Package node simulates a Kubernetes node without a kubelet, in a sandbox: an API server, an installation of the
// plugins by `install`, and pods, each an object in the API with a network namespace.
package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build builds the project's three binaries as they are released, cnitool, and plugins of other projects into a
// directory.
func Build(ctx context.Context, dir string) error {
	root, err := output(ctx, ".", "go", "list", "-m", "-f", "{{.Dir}}", "calico-cni")
	if err != nil {
		return err
	}
	own := []string{
		"build", "-trimpath", "-ldflags", "-s -w -X calico-cni/internal/buildinfo.Version=test", "-o",
		dir + "/", "./cmd/...",
	}
	if _, err := output(ctx, root, "go", own...); err != nil {
		return err
	}
	others := []string{
		"build", "-trimpath", "-ldflags", "-s -w", "-o", dir + "/",
		"github.com/containernetworking/cni/cnitool",
	}
	for _, plugin := range []string{
		"ipam/host-local", "ipam/static", "main/bridge", "main/loopback", "main/macvlan", "main/ptp",
		"meta/bandwidth", "meta/firewall", "meta/portmap", "meta/sbr", "meta/tuning",
	} {
		others = append(others, "github.com/containernetworking/plugins/plugins/"+plugin)
	}
	_, err = output(ctx, filepath.Join(root, "test"), "go", others...)
	return err
}

// output runs a program in a directory and returns its output without the last newline.
func output(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("run %s %s: %w: %s", program, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
