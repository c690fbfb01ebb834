// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"calico-cni/test/cgroup"
)

var errNotRunning = errors.New("no cluster is running")

// group is the name of the cluster's control groups.
func (s state) group() string {
	return fmt.Sprintf("calico-cni-cluster-%x", sha256.Sum256([]byte(s.dir)))[:27]
}

// downTimeout limits a graceful stop of the cluster.
const downTimeout = 30 * time.Second

// state is the directory through which commands find the running cluster:
//
//	lock          locked by the cluster's first process while it runs
//	pid           its process ID
//	path          a PATH with the programs of nodes
//	pid-NODE      the process ID of the node's first process, in the sandbox
//	kubeconfig    of the administrator
//	kubed         the binary of Kubernetes
//	checkout      the directory that its plugins are built from
//	cluster.log   log of the first process
//	parts/        images
type state struct {
	dir string
	// standard says that dir is the default directory.
	standard bool
}

// command returns the command line of this program for the cluster.
func (s state) command() string {
	if s.standard {
		return "bin/cluster"
	}
	return "bin/cluster --state " + s.dir
}

// stopCommand returns the command that ends the cluster.
func (s state) stopCommand() string {
	if s.standard {
		return "make cluster-down"
	}
	return s.command() + " down"
}

func (s state) file(name string) string { return filepath.Join(s.dir, name) }

// lock takes the lock. ok is false if a cluster holds it.
func (s state) lock() (lock *os.File, ok bool, err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, false, err
	}
	if lock, err = os.OpenFile(s.file("lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, false, err
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, false, lock.Close()
	}
	return lock, err == nil, err
}

// running returns the process ID of the cluster's first process.
func (s state) running() (pid int, running bool) {
	p, running := s.process()
	if !running {
		return 0, false
	}
	return p.Pid, true
}

// process returns the cluster's first process. It looks up the process before it checks the lock, so that a reused
// process ID is not mistaken for the cluster.
func (s state) process() (*os.Process, bool) {
	data, err := os.ReadFile(s.file("pid"))
	if err != nil {
		return nil, false
	}
	pid, err := strconv.Atoi(string(data))
	if err != nil {
		return nil, false
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return nil, false
	}
	lock, ok, err := s.lock()
	if ok {
		_ = lock.Close()
	}
	return p, err == nil && !ok
}

// end ends the cluster's first process and thereby the cluster.
func (s state) end() error {
	p, running := s.process()
	if !running {
		return nil
	}
	_ = p.Signal(syscall.SIGTERM)
	deadline := time.Now().Add(downTimeout)
	for killed := false; running; _, running = s.process() {
		if time.Now().After(deadline) {
			if killed {
				return fmt.Errorf("end cluster: process %d does not end", p.Pid)
			}
			_ = p.Kill()
			killed, deadline = true, time.Now().Add(downTimeout)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

// clean removes the leftovers of an ended cluster: its control groups, and all files of the directory except the lock.
func (s state) clean() error {
	group, err := cgroup.Below(s.group())
	if err != nil {
		return err
	}
	if err := group.Remove(); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != "lock" {
			err = errors.Join(err, os.RemoveAll(s.file(entry.Name())))
		}
	}
	return err
}
