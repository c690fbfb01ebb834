// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"calico-cni/test/cgroup"
	"calico-cni/test/machine"
	"calico-cni/test/parts"
	"calico-cni/test/sandbox"
)

var e2e = flag.Bool("e2e", false, "run the tests that need a cluster, on a new one; takes minutes, as root")

// from is the release from which the upgrade starts.
var from = flag.String("from", "", "the earlier `commit`; by default that of the last tag or, "+
	"without tags, "+firstRelease)

// firstRelease is the commit that the first release is compared with, because there is no earlier release. It has the
// file formats of the first release.
const firstRelease = "6e06a131a5c7"

// groupName is the control group of the tests. It differs from that of `make cluster`, so that both can run.
const groupName = "calico-cni-e2e"

// c is the cluster that all tests share.
var c *Cluster

// before is an earlier commit, or the reason why there is none.
var before struct {
	parts.Release
	Missing string
}

func TestMain(m *testing.M) {
	machine.Main()
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	switch {
	case !*e2e:
		return m.Run(), nil
	case !sandbox.Inside():
		return outside(context.Background())
	}
	if err := sandbox.Enter(); err != nil {
		return 1, err
	}
	var o Options
	if err := json.Unmarshal([]byte(os.Getenv("E2E_OPTIONS")), &o); err != nil {
		return 1, err
	}
	if err := json.Unmarshal([]byte(os.Getenv("E2E_BEFORE")), &before); err != nil {
		return 1, err
	}
	started := time.Now()
	var err error
	if c, err = Start(context.Background(), o); err != nil {
		return 1, errors.Join(err, keepLogs(o))
	}
	fmt.Printf("cluster of %d nodes Ready after %.1f s\n", o.Nodes, time.Since(started).Seconds())
	code := m.Run()
	return code, errors.Join(keepLogs(o), c.Stop())
}

// outside builds the parts, runs the tests in a sandbox, and removes what remains afterwards.
func outside(ctx context.Context) (exit int, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return 1, err
	}
	dir := filepath.Join(cache, "calico-cni", "e2e")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 1, err
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return 1, errors.Join(errors.New("these tests are running already: wait for them"), err)
	}
	defer func() { _ = lock.Unlock() }()
	p, err := parts.Build(ctx, filepath.Join(dir, "parts"), os.Stderr)
	if err != nil {
		return 1, err
	}
	if err := buildBefore(ctx, filepath.Join(dir, "parts")); err != nil {
		return 1, err
	}
	group, err := cgroup.Below(groupName)
	if err != nil {
		return 1, err
	}
	// Leftovers of killed tests.
	if err := group.Remove(); err != nil {
		return 1, err
	}
	if group, err = cgroup.Create(groupName); err != nil {
		return 1, err
	}
	options, err := json.Marshal(Options{Parts: p, Nodes: 3, Dir: "/run/cluster", Group: group})
	if err != nil {
		return 1, err
	}
	release, err := json.Marshal(before)
	if err != nil {
		return 1, err
	}
	exit, err = sandbox.Run("E2E_OPTIONS="+string(options), "E2E_BEFORE="+string(release),
		"E2E_LOGS="+filepath.Join(dir, "logs"))
	if before.Missing != "" {
		fmt.Println("NOT TESTED: the upgrade.", before.Missing)
	}
	return exit, errors.Join(err, group.Remove())
}

// buildBefore builds an earlier commit. Without history the other tests still run.
func buildBefore(ctx context.Context, dir string) (err error) {
	before.Release, err = parts.BuildRelease(ctx, dir, *from, firstRelease)
	if errors.Is(err, parts.ErrNoHistory) && *from == "" {
		before.Missing, err = err.Error(), nil
	}
	return err
}

// keepLogs copies all logs to a directory outside of the sandbox.
func keepLogs(o Options) error {
	dir := os.Getenv("E2E_LOGS")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	script := "cp *.log server/*.log nodes/*.console $0; for n in nodes/*/; do cp -r $n/var/log $0/$(basename $n); done"
	cmd := exec.Command("sh", "-c", script, dir)
	cmd.Dir = o.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("keep logs: %w: %s", err, out)
	}
	fmt.Println("logs are in", dir)
	return nil
}
