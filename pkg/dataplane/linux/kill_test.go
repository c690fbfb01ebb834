// SPDX-License-Identifier: Apache-2.0

package linux_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/dataplane/linux"
)

// The test binary runs itself as a process that is killed before one of the requests of Setup.
const (
	envKilledSpec  = "DATAPLANE_TEST_SPEC"
	envKilledNode  = "DATAPLANE_TEST_NODE"
	envKilledAfter = "DATAPLANE_TEST_KILL_AFTER"
)

// changes are the system calls with which Setup changes the kernel's state: netlink requests and writes of sysctls.
var changes = []uint32{unix.SYS_SENDTO, unix.SYS_PWRITE64}

func TestMain(m *testing.M) {
	if os.Getenv(envKilledSpec) == "" {
		os.Exit(m.Run())
	}
	if err := setupUntilKilled(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func setupUntilKilled() error {
	spec := dataplane.Spec{}
	if err := json.Unmarshal([]byte(os.Getenv(envKilledSpec)), &spec); err != nil {
		return err
	}
	after, err := strconv.Atoi(os.Getenv(envKilledAfter))
	if err != nil {
		return err
	}
	tb := &failingTB{}
	node := nettest.Open(tb, os.Getenv(envKilledNode))
	node.Intercept(changes, func(calls int) {
		if calls == after {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}, func() { _, err = linux.New("").Setup(context.Background(), spec) })
	return err
}

// failingTB exits the process on a failure.
type failingTB struct{ testing.TB }

func (*failingTB) Helper()        {}
func (*failingTB) Cleanup(func()) {}
func (*failingTB) Fatal(args ...any) {
	fmt.Fprintln(os.Stderr, args...)
	os.Exit(1)
}

func (f *failingTB) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }

// setupKilledAfter runs Setup in another process, which is killed after that many requests. It reports whether Setup
// completed before.
func setupKilledAfter(t *testing.T, node *nettest.NetNS, spec dataplane.Spec, requests int) (complete bool) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	text, err := json.Marshal(spec)
	must(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(),
		envKilledSpec+"="+string(text), envKilledNode+"="+node.Path, envKilledAfter+"="+strconv.Itoa(requests))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return true
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return false
	}
	t.Fatalf("Setup killed after %d requests: %v\n%s", requests, err, out)
	return false
}

// afterKill are the ways in which the host is cleaned up after a killed Setup.
var afterKill = []struct {
	name string
	do   func(t *testing.T, node, pod *nettest.NetNS, spec dataplane.Spec)
}{
	{"Teardown with the namespace", func(t *testing.T, node, _ *nettest.NetNS, spec dataplane.Spec) {
		must(t, teardown(t, node, linux.New(""), targetOf(spec)))
	}},
	{"Teardown without the namespace", func(t *testing.T, node, _ *nettest.NetNS, spec dataplane.Spec) {
		target := targetOf(spec)
		target.NetNS = ""
		must(t, teardown(t, node, linux.New(""), target))
	}},
	{"Teardown of the listed attachments", func(t *testing.T, node, _ *nettest.NetNS, spec dataplane.Spec) {
		var listed []dataplane.Attachment
		var err error
		node.Do(func() { listed, err = linux.New("").List(t.Context()) })
		must(t, err)
		for _, a := range listed {
			if a.Owner != "" && a.Owner != spec.Handle {
				t.Errorf("listed %+v, want the owner %s or none", a, spec.Handle)
			}
			must(t, teardown(t, node, linux.New(""), dataplane.Target{
				Handle: spec.Handle, IfName: spec.IfName,
				HostIfName: a.HostIfName,
			}))
		}
	}},
	{"Setup for a new sandbox and its Teardown", func(t *testing.T, node, _ *nettest.NetNS, spec dataplane.Spec) {
		spec.Handle, spec.NetNS = "net.sandbox-2", newPod(t).Path
		mustSetup(t, node, linux.New(""), spec)
		must(t, teardown(t, node, linux.New(""), targetOf(spec)))
	}},
}

// TestTeardownCleansUpSetupKilledAtAnyRequest cleans up in each way after a kill at each request. In a short test, each
// way covers only a part of the requests.
func TestTeardownCleansUpSetupKilledAtAnyRequest(t *testing.T) {
	for i, after := range afterKill {
		t.Run(after.name, func(t *testing.T) {
			first, stride, least := 0, 1, 10
			if testing.Short() {
				first, stride, least = i, len(afterKill), 2
			}
			created := 0
			for requests, complete := first, false; !complete; requests += stride {
				node, pod := newNode(t), newPod(t)
				before, spec := state(t, node), specFor(pod, addr4, addr6)
				complete = setupKilledAfter(t, node, spec, requests)
				node.Do(func() {
					if _, err := netlink.LinkByName(hostIfName); err == nil {
						created++
					}
				})
				after.do(t, node, pod, spec)
				wantSame(t, fmt.Sprintf("host after a kill at request %d and %s", requests, after.name), before, node)
			}
			if created < least {
				t.Errorf("%d kills left an interface on the host, want at least %d", created, least)
			}
		})
	}
}

// TestTeardownOfOlderSandboxKeepsKilledSetup runs Teardown for an older sandbox after a newer Setup was killed. The
// interfaces of the newer Setup are kept, even if the attachment of the older sandbox was unmarked.
func TestTeardownOfOlderSandboxKeepsKilledSetup(t *testing.T) {
	for requests, complete := 0, false; !complete; requests++ {
		node, pod := newNode(t), newPod(t)
		spec := specFor(pod, addr4, addr6)
		complete = setupKilledAfter(t, node, spec, requests)
		before := indexes(t, node, pod)
		older := targetOf(spec)
		older.Handle, older.ContainerID, older.Unmarked = "net.sandbox-0", "sandbox-0", true
		for _, path := range []string{"", spec.NetNS} {
			older.NetNS = path
			must(t, teardown(t, node, linux.New(""), older))
			if after := indexes(t, node, pod); after != before {
				t.Errorf("killed at request %d, Teardown with namespace %q: interfaces are %v, want %v", requests, path,
					after, before)
			}
		}
	}
}

// indexes returns the indexes of the host's and the pod's interface, 0 for an absent one.
func indexes(t *testing.T, node, pod *nettest.NetNS) (found [2]int) {
	t.Helper()
	node.Do(func() { found[0] = indexOf(hostIfName) })
	pod.Do(func() { found[1] = indexOf(ifName) })
	return found
}

func indexOf(name string) int {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return 0
	}
	return link.Attrs().Index
}
