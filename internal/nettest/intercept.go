// SPDX-License-Identifier: Apache-2.0

package nettest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Intercept runs f in the namespace on a separate thread. It calls before ahead of each of the given system calls that
// f makes on that thread, with the number of earlier calls. The system call proceeds when before returns. Intercept
// returns the number of calls. It needs seccomp user notifications (Linux 5.19).
//
// The thread exits with f, because the filter cannot be removed from it.
func (n *NetNS) Intercept(syscalls []uint32, before func(calls int), f func()) int {
	n.tb.Helper()
	ended, end, err := os.Pipe()
	if err != nil {
		n.tb.Fatal(err)
	}
	defer func() { _ = ended.Close() }()
	listeners, done := make(chan int), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		// The exit of the thread cannot serve as a signal, because Go keeps the main thread.
		defer func() { _ = end.Close() }()
		done <- n.filtered(syscalls, listeners, f)
	}()
	calls := 0
	select {
	case err := <-done:
		n.tb.Fatal(err)
	case listener := <-listeners:
		defer unix.Close(listener)
		for {
			open, err := answer(listener, int(ended.Fd()), func() { before(calls); calls++ })
			if err != nil {
				n.tb.Fatal(err)
			}
			if !open {
				break
			}
		}
	}
	if err := <-done; err != nil {
		n.tb.Fatal(err)
	}
	return calls
}

// filtered installs the filter on the calling thread and runs f in the namespace.
func (n *NetNS) filtered(syscalls []uint32, listeners chan<- int, f func()) error {
	if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", n.Path, err)
	}
	listener, err := listen(syscalls)
	if err != nil {
		return err
	}
	listeners <- listener
	f()
	return nil
}

// listen installs a filter on the calling thread and returns the descriptor that reports its system calls.
func listen(syscalls []uint32) (int, error) {
	const numberOffset = 0 // The offset of nr in struct seccomp_data.
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: numberOffset}}
	for i, nr := range syscalls {
		jump := unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jt: uint8(len(syscalls) - i)}
		filter = append(filter, jump)
	}
	filter = append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// Without the second flag, a signal to the thread would report the same call twice.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	fd, _, errno := unix.Syscall(
		unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return -1, fmt.Errorf("install seccomp filter: %w", errno)
	}
	return int(fd), nil
}

// notification is struct seccomp_notif, and response is struct seccomp_notif_resp.
type (
	notification struct {
		id         uint64
		pid, flags uint32
		nr, arch   uint32
		ip         uint64
		args       [6]uint64
	}
	response struct {
		id    uint64
		value int64
		errno int32
		flags uint32
	}
)

// answer waits for the next call and lets it proceed. It returns false once the pipe ended is closed.
func answer(listener, ended int, before func()) (open bool, err error) {
	events := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}, {Fd: int32(ended), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(events, -1)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return false, fmt.Errorf("wait for system call: %w", err)
		}
	}
	if events[0].Revents&unix.POLLIN == 0 {
		return false, nil
	}
	call := notification{}
	if errno := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&call)); errno != 0 {
		return true, ignoreInterrupted("receive system call", errno)
	}
	before()
	reply := response{id: call.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	if errno := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&reply)); errno != 0 {
		return true, ignoreInterrupted("continue system call", errno)
	}
	return true, nil
}

// ignoreInterrupted returns nil for a call that a signal interrupted, because the kernel reports it again.
func ignoreInterrupted(what string, errno unix.Errno) error {
	if errno == unix.ENOENT || errno == unix.EINTR {
		return nil
	}
	return fmt.Errorf("%s: %w", what, errno)
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
	return errno
}
