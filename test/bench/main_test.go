// SPDX-License-Identifier: Apache-2.0

// Package bench measures the cost of a pod's ADD and DEL, compared with ptp and host-local, which keep their state on
// the local disk and make no API requests.
//
// `go test` only checks that the measurements work. `make bench` measures, and writes docs/performance.md and its
// chart.
package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	if sandbox.Inside() {
		if err := sandbox.Enter(); err != nil {
			return 1, err
		}
		return m.Run(), nil
	}
	return outside(context.Background())
}

// outside builds what needs a network to be built, and runs the tests in a sandbox.
func outside(ctx context.Context) (int, error) {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 1, err
	}
	if err := os.Setenv("BENCH_LOAD", string(load)); err != nil {
		return 1, err
	}
	return node.Outside(ctx, "BENCH", buildOthers)
}

// standard are the containernetworking plugins that are installed with ours.
var standard = []string{"meta/bandwidth", "ipam/host-local", "main/loopback", "meta/portmap", "meta/tuning"}

// buildOthers builds the standard plugins, ptp, and the measuring programs.
func buildOthers(ctx context.Context, dir string) error {
	args := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", dir + "/", "./testdata/hello", "./testdata/peak"}
	for _, path := range append([]string{"main/ptp"}, standard...) {
		args = append(args, "github.com/containernetworking/plugins/plugins/"+path)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build standard plugins: %w: %s", err, out)
	}
	return nil
}

// startNode starts the node, which ends with the test.
func startNode(t *testing.T) *node.Node {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "node-")
	must(t, err)
	n, err := node.Start(t.Context(), node.Options{
		Kubed: os.Getenv("BENCH_KUBED"), Tools: os.Getenv("BENCH_TOOLS"), Deploy: filepath.Join("..", "..", "deploy"),
		Dir: dir,
	})
	must(t, err)
	t.Cleanup(func() { must(t, n.Server.Stop()) })
	log, err := n.Install(t.Context())
	if err != nil {
		t.Fatal(err, log)
	}
	must(t, n.Datastore.CreatePool(t.Context(), "default-ipv4-ippool", "10.0.0.0/9", 26))
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
