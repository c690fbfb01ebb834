// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"calico-cni/test/fleet"
)

// metric returns the lines of a metric of the agent of the i-th node.
func metric(ctx context.Context, i int, name string) (lines []string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:9091/metrics", f.Addr(i, false)),
		http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	for s := bufio.NewScanner(response.Body); s.Scan(); {
		if strings.HasPrefix(s.Text(), name) {
			lines = append(lines, s.Text())
		}
	}
	return lines, nil
}

// ready waits until the agent of the i-th node is ready.
func ready(t *testing.T, i int) {
	t.Helper()
	eventually(t, func() error {
		lines, err := metric(t.Context(), i, "calico_node_ready")
		if err == nil && (len(lines) != 1 || lines[0] != "calico_node_ready 1") {
			err = fmt.Errorf("metric %q", lines)
		}
		return err
	})
}

// settled waits until the agents have no findings and write nothing any more.
func settled(t *testing.T) {
	t.Helper()
	last := ""
	eventually(t, func() error {
		now := ""
		for i := range f.Nodes {
			for _, name := range []string{"calico_node_findings", "calico_node_writes_total"} {
				lines, err := metric(t.Context(), i, name)
				if err != nil {
					return err
				}
				now += strings.Join(lines, "\n") + "\n"
			}
		}
		was := last
		if last = now; now != was || strings.Count(now, "calico_node_findings 0\n") != len(f.Nodes) {
			time.Sleep(2 * time.Second)
			return fmt.Errorf("not settled:\n%s", now)
		}
		return nil
	})
}

// restart kills the agent of the i-th node, and waits until it is ready again.
func restart(t *testing.T, i int) {
	t.Helper()
	m := f.Nodes[i]
	before := must(t, m, "cat", "/run/machine/calico-node.pid")
	if err := m.Kill(t.Context(), "calico-node"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		now, err := m.Run(t.Context(), "cat", "/run/machine/calico-node.pid")
		if err == nil && now == before {
			err = fmt.Errorf("the process %s still runs", now)
		}
		return err
	})
	ready(t, i)
}

// TestRestartWritesNothing kills the agents when nothing changes. They make no change of the kernel.
func TestRestartWritesNothing(t *testing.T) {
	makePools(t, modes{vxlan: "CrossSubnet"})
	pods := addPods(t, "restart")
	wantAllReachable(t, pods)
	settled(t)
	for i := range f.Nodes {
		restart(t, i)
		// The first round after a restart would write. Give later ones time as well.
		time.Sleep(2 * time.Second)
		lines, err := metric(t.Context(), i, "calico_node_writes_total")
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) < 5 {
			t.Errorf("%d metrics of writes", len(lines))
		}
		for _, line := range lines {
			if !strings.HasSuffix(line, " 0") {
				t.Errorf("%s: %s", f.Nodes[i].Spec.Name, line)
			}
		}
	}
}

// TestNoPacketIsLostDuringRestart kills the agents while packets flow through VXLAN and without it.
func TestNoPacketIsLostDuringRestart(t *testing.T) {
	makePools(t, modes{vxlan: "CrossSubnet"})
	pods := addPods(t, "flow")
	wantAllReachable(t, pods)
	var flows []*flow
	for _, to := range pods[1:] {
		for _, addr := range []netip.Addr{to.Addr4, to.Addr6} {
			flows = append(flows, startFlow(t, pods[0], addr))
		}
	}
	for i := range f.Nodes {
		restart(t, i)
	}
	time.Sleep(time.Second)
	for _, flow := range flows {
		flow.wantNoLoss(t)
	}
}

// flow is a stream of packets from a pod to an address.
type flow struct {
	to  netip.Addr
	cmd *exec.Cmd
	out strings.Builder
}

func startFlow(t *testing.T, from *fleet.Pod, to netip.Addr) *flow {
	t.Helper()
	fl := &flow{to: to, cmd: from.Command(t.Context(), "ping", "-n", "-q", "-i", "0.02", to.String())}
	fl.cmd.Stdout, fl.cmd.Stderr = &fl.out, &fl.out
	if err := fl.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return fl
}

// wantNoLoss ends the flow. ping prints its statistics when it is interrupted.
func (fl *flow) wantNoLoss(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("pkill", "-INT", "-P", fmt.Sprint(fl.cmd.Process.Pid)).CombinedOutput(); err != nil {
		t.Errorf("interrupt ping: %v: %s", err, out)
	}
	_ = fl.cmd.Wait()
	sent, received := 0, 0
	for line := range strings.Lines(fl.out.String()) {
		_, _ = fmt.Sscanf(line, "%d packets transmitted, %d received", &sent, &received)
	}
	if sent < 50 || received < sent {
		t.Errorf("packets to %s: %d sent, %d received\n%s", fl.to, sent, received, fl.out.String())
	}
}

// TestAgentStopsOnSignal sends SIGTERM, as the kubelet does. The agent ends without an error.
func TestAgentStopsOnSignal(t *testing.T) {
	m := f.Nodes[0]
	pid := must(t, m, "cat", "/run/machine/calico-node.pid")
	must(t, m, "kill", "-TERM", pid)
	eventually(t, func() error {
		log := must(t, m, "tail", "-n", "20", "/var/log/machine/calico-node.log")
		if !strings.Contains(log, "machine: calico-node ended: exit 0") {
			return fmt.Errorf("the log ends with:\n%s", log)
		}
		return nil
	})
	ready(t, 0)
}
