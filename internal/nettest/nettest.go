// SPDX-License-Identifier: Apache-2.0

// Package nettest creates network namespaces for tests and shows their state as text.
//
// A namespace represents a node or a pod. Only a file descriptor holds it: no mount, file or process remains, even if
// the test is killed.
package nettest

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// NetNS is a network namespace that exists until its test ends.
type NetNS struct {
	// Path opens the namespace in this process and in others, until Close.
	Path string

	tb testing.TB
	fd int
}

// NewNetNS creates an empty network namespace: only lo, which is down. It fails the test if privileges are missing,
// because a skipped network test proves nothing.
func NewNetNS(tb testing.TB) *NetNS {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Fatal("this test creates network namespaces: run it as root, with CAP_SYS_ADMIN and CAP_NET_ADMIN")
	}
	fd, err := unshare()
	if err != nil {
		tb.Fatal(err)
	}
	n := &NetNS{Path: fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), tb: tb, fd: fd}
	tb.Cleanup(n.Close)
	return n
}

// Open returns the namespace that is mounted at, or linked from, a path.
func Open(tb testing.TB, path string) *NetNS {
	tb.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		tb.Fatalf("open network namespace %s: %v", path, err)
	}
	n := &NetNS{Path: fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), tb: tb, fd: fd}
	tb.Cleanup(n.Close)
	return n
}

// Close releases the namespace. The kernel removes it with all its links unless something else holds it. A second call
// has no effect.
func (n *NetNS) Close() {
	if n.fd < 0 {
		return
	}
	unix.Close(n.fd)
	n.fd, n.Path = -1, n.Path+" (closed)"
}

// Do runs f on the calling goroutine with its thread in the namespace. Sockets and netlink handles that f opens, files
// under /proc/sys/net and programs that it starts belong to the namespace. Goroutines that f starts, including those of
// testing.T.Run, do not: call Do again in them, or use Run.
func (n *NetNS) Do(f func()) {
	n.tb.Helper()
	runtime.LockOSThread()
	home, err := openOwn()
	if err != nil {
		runtime.UnlockOSThread()
		n.tb.Fatal(err)
	}
	defer unix.Close(home)
	if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		n.tb.Fatalf("enter network namespace %s: %v", n.Path, err)
	}
	defer func() {
		if err := unix.Setns(home, unix.CLONE_NEWNET); err != nil {
			// The thread stays locked and exits with its goroutine.
			n.tb.Errorf("leave network namespace %s: %v", n.Path, err)
			return
		}
		runtime.UnlockOSThread()
	}()
	f()
}

// Run runs f as a subtest of t with its thread in the namespace.
func (n *NetNS) Run(t *testing.T, name string, f func(t *testing.T)) bool {
	t.Helper()
	return t.Run(name, func(t *testing.T) { n.Do(func() { f(t) }) })
}

// unshare returns the descriptor of a new network namespace.
func unshare() (int, error) {
	type result struct {
		fd  int
		err error
	}
	done := make(chan result)
	go func() {
		// Never unlocked: the thread is in the new namespace and exits with the goroutine.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- result{-1, fmt.Errorf("unshare network namespace: %w", err)}
			return
		}
		fd, err := openOwn()
		done <- result{fd, err}
	}()
	r := <-done
	return r.fd, r.err
}

// openOwn opens the network namespace of the calling thread.
func openOwn() (int, error) {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the thread's network namespace: %w", err)
	}
	return fd, nil
}
