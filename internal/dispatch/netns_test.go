package dispatch_test

import (
	"testing"

	"calico-cni/internal/nettest"
)

const own = "/proc/self/ns/net"

func TestC13OwnNetworkNamespaceIsRefusedBeforeTheVerbRuns(t *testing.T) {
	const refused = "1.1.0: 4: CNI_NETNS " + own + " is the plugin's own network namespace; set CNI_NETNS_OVERRIDE=1 if that is meant"
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
		// These are about no attachment, so that the variable says nothing to them.
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

func TestAnotherNetworkNamespaceIsTaken(t *testing.T) {
	pod := nettest.NewNetNS(t)
	for _, command := range []string{"ADD", "DEL", "CHECK"} {
		i := invoke(command, v110).set("CNI_NETNS", pod.Path)
		i.plugin.EntersNetNS = true
		check(t, i.outcome(t), "ran ["+command+"]")
	}
}

func TestAbsentNetworkNamespaceStopsOnlyTheAddThatEntersIt(t *testing.T) {
	for _, c := range []struct {
		command string
		enters  bool
		want    string
	}{
		{"ADD", true, "1.1.0: 4: CNI_NETNS /no/such/netns: network namespace does not exist: open \"/no/such/netns\": no network namespace: no such file or directory; " +
			"the runtime has removed the sandbox, or names a wrong path"},
		{"ADD", false, "ran [ADD]"},
		{"DEL", true, "ran [DEL]"},
		{"CHECK", true, "ran [CHECK]"},
	} {
		i := invoke(c.command, v110)
		i.plugin.EntersNetNS = c.enters
		check(t, i.outcome(t), c.want)
	}
}
