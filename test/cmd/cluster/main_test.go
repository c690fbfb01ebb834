// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/test/cgroup"
)

var e2e = flag.Bool("e2e", false, "run the test that starts clusters, as root")

// TestClusterLeavesNothingBehind ends the cluster by down, by an interrupt of up, and by a kill of up and of its first
// process.
func TestClusterLeavesNothingBehind(t *testing.T) {
	if !*e2e {
		t.Skip("starts clusters: run with -e2e, or make test-e2e")
	}
	cache, err := os.UserCacheDir()
	do(t, err)
	// Nodes cannot see the temporary directory of the test.
	s := state{dir: filepath.Join(cache, "calico-cni", "cluster-test")}
	program := filepath.Join(t.TempDir(), "cluster")
	do(t, runCommand(exec.Command("go", "build", "-o", program, ".")))
	command := func(args ...string) *exec.Cmd {
		return exec.Command(program, append([]string{"--state", s.dir}, args...)...)
	}
	t.Cleanup(func() { do(t, errors.Join(runCommand(command("down")), os.RemoveAll(s.dir))) })
	do(t, runCommand(command("down")))
	before := machineState(t)

	t.Run("down", func(t *testing.T) {
		do(t, runCommand(command("up", "--nodes", "1")))
		pid, running := s.running()
		if !running {
			t.Fatal("the cluster is not running")
		}
		again, err := command("up").Output()
		if do(t, err); !strings.HasPrefix(string(again), "the cluster is already running, with the plugins of ") {
			t.Errorf("up prints %q, want that the cluster is already running", again)
		}
		name, err := command("shell", "node-1", "hostname").Output()
		if do(t, err); string(name) != "node-1\n" {
			t.Errorf("hostname on the node is %q", name)
		}
		kubed, err := os.ReadFile(s.file("kubed"))
		do(t, err)
		do(t, runCommand(exec.Command(string(kubed), "kubectl", "--kubeconfig", s.file("kubeconfig"), "get", "nodes")))
		pods, err := exec.Command(string(kubed), "kubectl", "--kubeconfig", s.file("kubeconfig"), "get", "pods", "-A",
			"--no-headers").Output()
		if do(t, err); !strings.Contains(string(pods), " 1/1 ") || strings.Contains(string(pods), " 0/1 ") {
			t.Errorf("up reports ready with the pods\n%s", pods)
		}
		processes := processTree(t, pid)
		// These are the API server, the controllers, and a node with its services and a pod.
		if len(processes) < 10 {
			t.Errorf("the cluster has only %d processes", len(processes))
		}
		do(t, runCommand(command("down")))
		do(t, runCommand(command("down")))
		expectGone(t, s, before, processes)
	})
	// begin starts up and waits until the sandbox exists.
	begin := func(t *testing.T) (*exec.Cmd, int) {
		t.Helper()
		up := command("up", "--nodes", "1")
		do(t, up.Start())
		for range 600 {
			if pid, running := s.running(); running {
				return up, pid
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Fatal("no sandbox after a minute")
		return nil, 0
	}
	t.Run("interrupted", func(t *testing.T) {
		up, pid := begin(t)
		time.Sleep(3 * time.Second)
		processes := processTree(t, pid)
		do(t, up.Process.Signal(syscall.SIGINT))
		_ = up.Wait()
		if code := up.ProcessState.ExitCode(); code != 130 {
			t.Errorf("exit code is %d, want 130", code)
		}
		expectGone(t, s, before, processes)
	})
	t.Run("killed", func(t *testing.T) {
		up, pid := begin(t)
		time.Sleep(3 * time.Second)
		processes := processTree(t, pid)
		do(t, up.Process.Kill())
		_ = up.Wait()
		do(t, runCommand(command("down")))
		expectGone(t, s, before, processes)
	})
	t.Run("first process killed", func(t *testing.T) {
		do(t, runCommand(command("up", "--nodes", "1")))
		pid, _ := s.running()
		processes := processTree(t, pid)
		do(t, syscall.Kill(pid, syscall.SIGKILL))
		do(t, runCommand(command("down")))
		expectGone(t, s, before, processes)
	})
}

// processTree returns a process and its descendants: their start times by process ID.
func processTree(t *testing.T, pid int) map[int]string {
	t.Helper()
	children := map[int][]int{}
	files, err := filepath.Glob("/proc/[0-9]*")
	do(t, err)
	for _, file := range files {
		if child, err := strconv.Atoi(filepath.Base(file)); err == nil {
			parent, _ := stat(child)
			children[parent] = append(children[parent], child)
		}
	}
	all := map[int]string{}
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		_, all[queue[0]] = stat(queue[0])
		queue = append(queue, children[queue[0]]...)
	}
	return all
}

// stat returns the parent and the start time of a process. The start time is empty if the process has ended, even if
// its parent has not reaped it. In proc_pid_stat(5), the state, the parent and the start time are fields 3, 4 and 22,
// after the name in parentheses.
func stat(pid int) (parent int, started string) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if err != nil || len(fields) < 20 || fields[0] == "Z" {
		return 0, ""
	}
	parent, _ = strconv.Atoi(fields[1])
	return parent, fields[19]
}

// expectGone compares the state of the machine, and expects no processes, control groups and files of the cluster.
func expectGone(t *testing.T, s state, before string, processes map[int]string) {
	t.Helper()
	if diff := cmp.Diff(before, machineState(t)); diff != "" {
		t.Errorf("the machine has changed:\n%s", diff)
	}
	group, err := cgroup.Below(s.group())
	do(t, err)
	for _, dir := range group {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("group %s is left", dir)
		}
	}
	for pid, started := range processes {
		// The last processes may still be ending.
		for range 50 {
			if _, now := stat(pid); now != started {
				delete(processes, pid)
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	if len(processes) > 0 {
		t.Errorf("processes are left: %v", processes)
	}
	entries, err := os.ReadDir(s.dir)
	do(t, err)
	for _, entry := range entries {
		if entry.Name() != "lock" {
			t.Errorf("file %s is left", entry.Name())
		}
	}
}

// machineState returns what a cluster could change on the machine, as text: links, mounts, and kernel settings.
func machineState(t *testing.T) string {
	t.Helper()
	links, err := exec.Command("sh", "-c", "ip -o link | cut -d: -f2").Output()
	do(t, err)
	mounts, err := os.ReadFile("/proc/self/mounts")
	do(t, err)
	settings := []string{
		"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
		"kernel/keys/root_maxbytes", "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding",
		"net/netfilter/nf_conntrack_max",
		"net/bridge/bridge-nf-call-iptables", "net/ipv4/conf/all/rp_filter",
	}
	slices.Sort(settings)
	var text strings.Builder
	fmt.Fprintf(&text, "links:\n%smounts:\n%ssettings:\n", links, mounts)
	for _, name := range settings {
		value, err := os.ReadFile("/proc/sys/" + name)
		fmt.Fprintf(&text, "%s = %s %v\n", name, bytes.TrimSpace(value), err)
	}
	return text.String()
}

// runCommand runs a command. The error contains its output.
func runCommand(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", cmd.Args, err, out)
	}
	return nil
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
