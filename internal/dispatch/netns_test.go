// SPDX-License-Identifier: Apache-2.0

package dispatch_test

import (
	"fmt"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"calico-cni/internal/nettest"
)

// A namespace that cannot be opened may exist. The data plane then names the missing privilege.
func TestUnopenableNetworkNamespaceIsLeftToPlugin(t *testing.T) {
	sleep := exec.Command("sleep", "infinity")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = sleep.Process.Kill()
		_ = sleep.Wait()
	})
	done := make(chan string)
	go func() {
		runtime.LockOSThread() // Never unlocked: the thread loses a capability.
		if err := nettest.DropCapability(unix.CAP_SYS_PTRACE); err != nil {
			done <- err.Error()
			return
		}
		i := invoke("ADD", v110).set("CNI_NETNS", fmt.Sprintf("/proc/%d/ns/net", sleep.Process.Pid))
		i.plugin.EntersNetNS = true
		done <- i.outcome(t)
	}()
	check(t, <-done, "ran [ADD]")
}

const own = "/proc/self/ns/net"

func TestC13OwnNetworkNamespaceIsRejectedBeforeVerb(t *testing.T) {
	const refused = "1.1.0: 4: CNI_NETNS " + own +
		" is the plugin's own network namespace; set CNI_NETNS_OVERRIDE=1 if this is intended"
	for _, c := range []struct{ command, override, want string }{
		{"ADD", "", refused},
		{"DEL", "", "ran [DEL]"},
		{"CHECK", "", refused},
		{"ADD", "0", refused},
		{"ADD", "false", refused},
		{"ADD", "1", "ran [ADD]"},
		{"ADD", "true", "ran [ADD]"},
		{"DEL", "TRUE", "ran [DEL]"},
		{"CHECK", "1", "ran [CHECK]"},
		// These verbs concern no attachment and ignore the variable.
		{"GC", "", "ran [GC]"},
		{"STATUS", "", "ran [STATUS]"},
	} {
		for _, enters := range []bool{true, false} {
			i := invoke(c.command, v110).set("CNI_NETNS", own).set("CNI_NETNS_OVERRIDE", c.override)
			i.plugin.EntersNetNS = enters
			check(t, i.outcome(t), c.want)
		}
	}
}

func TestOtherNetworkNamespaceIsAccepted(t *testing.T) {
	pod := nettest.NewNetNS(t)
	for _, command := range []string{"ADD", "DEL", "CHECK"} {
		i := invoke(command, v110).set("CNI_NETNS", pod.Path)
		i.plugin.EntersNetNS = true
		check(t, i.outcome(t), "ran ["+command+"]")
	}
}

func TestAbsentNetworkNamespaceFailsOnlyEnteringAdd(t *testing.T) {
	for _, c := range []struct {
		command string
		enters  bool
		want    string
	}{
		{"ADD", true, "1.1.0: 4: CNI_NETNS /no/such/netns: network namespace does not exist: open " +
			"\"/no/such/netns\": no network namespace: no such file or directory; " +
			"the runtime has removed the sandbox or passed a wrong path"},
		{"ADD", false, "ran [ADD]"},
		{"DEL", true, "ran [DEL]"},
		{"CHECK", true, "ran [CHECK]"},
	} {
		i := invoke(c.command, v110)
		i.plugin.EntersNetNS = c.enters
		check(t, i.outcome(t), c.want)
	}
}
