// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// child is a process that the kernel kills when this process ends.
type child struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended and Wait has returned
}

// startChild starts cmd in a network namespace, or in that of this process if netns is empty.
//
// PR_SET_PDEATHSIG applies to the thread that forked, not to its process (prctl(2)), and the Go runtime may end threads
// at any time. Therefore one goroutine keeps its thread until the child ends. It never unlocks the thread, because the
// thread may be in another namespace; the thread ends with the goroutine.
func startChild(cmd *exec.Cmd, netns string) (*child, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c := &child{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := enter(netns)
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			// cmd.ProcessState has the result.
			_ = cmd.Wait()
			close(c.ended)
		}
	}()
	return c, <-started
}

// signal sends a signal. It does nothing if the child has ended.
func (c *child) signal(s syscall.Signal) {
	select {
	case <-c.ended:
	default:
		// An error means that the child has just ended.
		_ = c.cmd.Process.Signal(s)
	}
}

// enter moves the calling thread, which the caller has locked, into a network namespace.
func enter(netns string) error {
	if netns == "" {
		return nil
	}
	fd, err := unix.Open(netns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", netns, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w: this needs CAP_SYS_ADMIN", netns, err)
	}
	return nil
}

// firstLine is a writer that closes read after the first complete line.
type firstLine struct {
	read chan struct{}
	once sync.Once
}

func newFirstLine() *firstLine { return &firstLine{read: make(chan struct{})} }

func (l *firstLine) Write(p []byte) (int, error) {
	if bytes.ContainsRune(p, '\n') {
		l.once.Do(func() { close(l.read) })
	}
	return len(p), nil
}

// tail returns the last few KiB of a log.
func tail(file string) []byte {
	const size = 4 << 10
	data, err := os.ReadFile(file)
	if err != nil {
		return []byte(err.Error())
	}
	return data[max(0, len(data)-size):]
}
