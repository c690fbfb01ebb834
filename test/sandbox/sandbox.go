// SPDX-License-Identifier: Apache-2.0

// Package sandbox runs a program as the first process of separate network, mount and process namespaces that represent
// a node. Everything that the program creates there (links, routes, sysctls, mounts, processes) disappears when the
// program ends, even if it is killed. The host stays unchanged.
package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// marker is the environment variable that marks a process inside of a sandbox.
const marker = "CALICO_CNI_SANDBOX"

// Inside reports whether the process is the first process of a sandbox.
func Inside() bool { return os.Getenv(marker) != "" && os.Getpid() == 1 }

// Run runs this program again, with the same arguments, as the first process of a sandbox, and returns its exit code.
// env is added to its environment. Run needs root and must not be called inside of a sandbox.
//
// Run forwards SIGINT and SIGTERM. When this process ends, the kernel kills the sandbox.
func Run(env ...string) (exit int, err error) {
	cmd, err := Command(env...)
	if err != nil {
		return 1, err
	}
	// The death signal is tied to the thread that starts the child, so this thread must live as long as the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("start sandbox: %w", err)
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	err = cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return max(ended.ExitCode(), 1), nil
	}
	return 0, err
}

// Command returns a command that runs this program, with the same arguments, as the first process of a sandbox. env is
// added to its environment. The process outlives this process unless SysProcAttr.Pdeathsig is set.
func Command(env ...string) (*exec.Cmd, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("create namespaces: run this program as root")
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Env = append(append(os.Environ(), marker+"=1"), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS,
	}
	return cmd, nil
}

// Enter prepares the sandbox as a node: separate mounts and /proc, IP forwarding, and empty directories for the state
// of programs. It must be called once, in the sandbox, before anything else.
func Enter() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, dir := range []string{"/run", "/var/lib", "/var/log"} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("mount empty %s: %w", dir, err)
		}
	}
	return writeFiles(map[string]string{
		// Enables IPv6 even if the host disables it for new namespaces.
		"/proc/sys/net/ipv6/conf/all/disable_ipv6":     "0",
		"/proc/sys/net/ipv6/conf/default/disable_ipv6": "0",
		"/proc/sys/net/ipv4/ip_forward":                "1",
		"/proc/sys/net/ipv6/conf/all/forwarding":       "1",
	})
}

func writeFiles(files map[string]string) error {
	for path, content := range files {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return fmt.Errorf("set %s: %w", strings.TrimPrefix(filepath.ToSlash(path), "/proc/sys/"), err)
		}
	}
	return nil
}
