// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Command returns a command that runs on the machine. Only ctx may end it: if nsenter itself is killed, its child keeps
// running as an orphan.
func (m *Machine) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append(NsenterArgs(strconv.Itoa(m.PID())), args...)...)
	cmd.Env = m.Spec.Env
	cmd.Cancel = func() error { return killChildren(cmd.Process) }
	return cmd
}

// killChildren kills the children of a process, or the process itself if it has none yet.
func killChildren(p *os.Process) error {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.Pid))
	if err != nil {
		return os.ErrProcessDone
	}
	children := strings.Fields(string(data))
	if len(children) == 0 {
		return p.Kill()
	}
	for _, child := range children {
		pid, err := strconv.Atoi(child)
		if err != nil {
			return err
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return nil
}

// NsenterArgs returns the arguments with which nsenter enters the machine whose first process is pid.
func NsenterArgs(pid string) []string {
	return []string{"-t", pid, "-m", "-n", "-p", "-u", "-i", "-C", "--"}
}

// Run runs a command on the machine and returns its output.
func (m *Machine) Run(ctx context.Context, args ...string) (string, error) {
	out, err := m.Command(ctx, args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %v: %w: %s", m.Spec.Name, args, err, out)
	}
	return string(out), nil
}

// Kill sends SIGKILL to a service. The machine restarts it.
func (m *Machine) Kill(ctx context.Context, service string) error {
	_, err := m.Run(ctx, "sh", "-c", "kill -KILL $(cat "+pidFile(service)+")")
	return err
}
