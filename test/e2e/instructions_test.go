// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// collected matches the instruction count of callgrind.
var collected = regexp.MustCompile(`Collected : (\d+)`)

// TestSteadyAddAndDelStayWithinInstructionBudget counts the instructions of a plugin process with valgrind, which does
// not depend on the load of the machine. The last DEL is a repeated one. The limits are 25% above the count at the time
// when they were set. Valgrind does not support the signals with which the Go runtime preempts goroutines.
func TestSteadyAddAndDelStayWithinInstructionBudget(t *testing.T) {
	add(t, newPod(t, "instructions-warm"), nil)
	p := newPod(t, "instructions")
	config, err := n.Config(nil)
	must(t, err)
	stdin, err := json.Marshal(config)
	must(t, err)
	for _, c := range []struct {
		name, verb string
		most       int
	}{
		{"VERSION", "VERSION", 1_900_000},
		{"ADD", "ADD", 22_000_000},
		{"DEL", "DEL", 19_000_000},
		{"repeated DEL", "DEL", 3_000_000},
	} {
		cmd := exec.CommandContext(t.Context(), "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
			filepath.Join(n.BinDir(), "calico"))
		cmd.Stdin = strings.NewReader(string(stdin))
		cmd.Env = []string{
			"HOME=" + t.TempDir(), "PATH=/usr/bin:/bin", "TMPDIR=" + t.TempDir(), "GODEBUG=asyncpreemptoff=1",
			"CNI_COMMAND=" + c.verb, "CNI_CONTAINERID=" + p.ContainerID, "CNI_NETNS=" + p.NetNS, "CNI_IFNAME=eth0",
			"CNI_PATH=" + n.BinDir(), "CNI_ARGS=" + p.Args(),
		}
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		found := collected.FindStringSubmatch(stderr.String())
		if err != nil || found == nil {
			t.Fatalf("%s: %v: %s%s", c.name, err, out, stderr.String())
		}
		count, err := strconv.Atoi(found[1])
		must(t, err)
		t.Logf("%s: %d instructions", c.name, count)
		if count > c.most || count < c.most/2 {
			t.Errorf("%s takes %d instructions, want at most %d, and not less than half of that", c.name, count, c.most)
		}
	}
}
