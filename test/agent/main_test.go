// SPDX-License-Identifier: Apache-2.0

// Package agent_test runs the node agent on nodes in two subnets, with a real API server.
package agent_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calico-cni/test/apiserver"
	"calico-cni/test/fleet"
	"calico-cni/test/kubed"
	"calico-cni/test/machine"
	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

// f is the fleet that all tests share: two nodes in one subnet, one in another.
var f *fleet.Fleet

func TestMain(m *testing.M) {
	machine.Main()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	if !sandbox.Inside() {
		return outside(context.Background())
	}
	if err := sandbox.Enter(); err != nil {
		return 1, err
	}
	var err error
	f, err = fleet.Start(context.Background(), fleet.Options{
		Kubed: os.Getenv("AGENT_KUBED"), Tools: os.Getenv("AGENT_TOOLS"), Deploy: filepath.Join("..", "..", "deploy"),
		Dir: "/run/fleet", APIGroup: cmp.Or(os.Getenv("AGENT_API_GROUP"), apiserver.V3), Subnets: []int{0, 0, 1},
		AgentEnv: []string{"NO_DEFAULT_POOLS=true"},
	})
	if err != nil {
		return 1, errors.Join(err, keepLogs())
	}
	code := m.Run()
	return code, errors.Join(keepLogs(), f.Stop())
}

// outside builds what needs a network to be built, and runs the tests in a sandbox.
func outside(ctx context.Context) (exit int, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return 1, err
	}
	dir := filepath.Join(cache, "calico-cni", "agent")
	tools := filepath.Join(dir, "tools")
	if err := os.MkdirAll(tools, 0o755); err != nil {
		return 1, err
	}
	binary, err := kubed.ServerPath(ctx, os.Stderr)
	if err != nil {
		return 1, err
	}
	if err := node.Build(ctx, tools); err != nil {
		return 1, err
	}
	return sandbox.Run("AGENT_KUBED="+binary, "AGENT_TOOLS="+tools, "AGENT_LOGS="+filepath.Join(dir, "logs"))
}

// keepLogs copies all logs to a directory outside of the sandbox.
func keepLogs() error {
	dir := os.Getenv("AGENT_LOGS")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	cmd := exec.Command("sh", "-c", `for n in nodes/*/; do cp -r $n/var/log $0/$(basename $n); done`, dir)
	cmd.Dir = "/run/fleet"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("keep logs: %w: %s", err, out)
	}
	return nil
}

// eventually repeats a check until it succeeds.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("not within two minutes: %v", err)
}

// must returns the output of a command on a node.
func must(t *testing.T, m *machine.Machine, args ...string) string {
	t.Helper()
	out, err := m.Run(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}
