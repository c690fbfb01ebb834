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

// Command returns a command that runs on the machine. It is ended by ctx, and by nothing else: were nsenter killed, its child
// would be left to the sandbox's first process, which knows nothing of it.
func (m *Machine) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append(Enter(m.PID()), args...)...)
	cmd.Env = m.Spec.Env
	cmd.Cancel = func() error { return killChildren(cmd.Process) }
	return cmd
}

// killChildren kills the children of a process, or the process itself when it has none yet.
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

// Enter returns the arguments by which nsenter enters the machine whose first process is pid.
func Enter(pid int) []string {
	return []string{"-t", strconv.Itoa(pid), "-m", "-n", "-p", "-u", "-i", "-C", "--"}
}

// Run runs a command on the machine and returns what it prints.
func (m *Machine) Run(ctx context.Context, args ...string) (string, error) {
	out, err := m.Command(ctx, args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %v: %w: %s", m.Spec.Name, args, err, out)
	}
	return string(out), nil
}

// Kill sends SIGKILL to a service. The machine starts it again, unless it is held down.
func (m *Machine) Kill(ctx context.Context, service string) error {
	_, err := m.Run(ctx, "sh", "-c", "kill -KILL $(cat "+pidFile(service)+")")
	return err
}

// Hold keeps a service from being started again, or lets it.
func (m *Machine) Hold(ctx context.Context, service string, down bool) error {
	verb := "rm -f "
	if down {
		verb = "touch "
	}
	_, err := m.Run(ctx, "sh", "-c", verb+offFile(service))
	return err
}
