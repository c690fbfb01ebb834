// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Where a machine has its services' logs, and their process IDs and whether they are held down.
const (
	logDir = "/var/log/machine"
	runDir = "/run/machine"
)

func pidFile(service string) string { return filepath.Join(runDir, service+".pid") }
func offFile(service string) string { return filepath.Join(runDir, service+".off") }

// restartDelay is how long a service that has ended stays so.
const restartDelay = 300 * time.Millisecond

// supervisor is the machine's init: it keeps services running and reaps whoever is left without a parent.
type supervisor struct {
	spec Spec
	mu   sync.Mutex // held while a child is started, so that none ends before it is known
	ends map[int]chan syscall.WaitStatus
}

func newSupervisor(spec Spec) *supervisor {
	return &supervisor{spec: spec, ends: map[int]chan syscall.WaitStatus{}}
}

// run starts the services in their order.
func (s *supervisor) run() {
	for _, service := range s.spec.Services {
		if service.Once {
			s.once(service)
			continue
		}
		go s.keep(service)
	}
}

// once runs a command until it succeeds, unless it has on an earlier boot.
func (s *supervisor) once(service Service) {
	done := filepath.Join("/var/lib", service.Name+".done")
	if _, err := os.Stat(done); err == nil {
		return
	}
	for s.start(service) != 0 {
		time.Sleep(restartDelay)
	}
	if err := os.WriteFile(done, nil, 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "machine:", err)
	}
}

// keep runs a service again whenever it ends, except while it is held down.
func (s *supervisor) keep(service Service) {
	for {
		if _, err := os.Stat(offFile(service.Name)); err != nil {
			s.start(service)
		}
		time.Sleep(restartDelay)
	}
}

// start runs a service to its end and returns its exit code, -1 when it could not be started or was killed.
func (s *supervisor) start(service Service) int {
	log, err := os.OpenFile(filepath.Join(logDir, service.Name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		fmt.Fprintln(os.Stderr, "machine:", err)
		return -1
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return -1
	}
	defer null.Close()
	ended := make(chan syscall.WaitStatus, 1)
	s.mu.Lock()
	pid, err := syscall.ForkExec(service.Args[0], service.Args, &syscall.ProcAttr{
		Dir: "/", Env: s.spec.Env, Files: []uintptr{null.Fd(), log.Fd(), log.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err == nil {
		s.ends[pid] = ended
	}
	s.mu.Unlock()
	if err != nil {
		fmt.Fprintf(log, "machine: start %s: %v\n", service.Name, err)
		return -1
	}
	if err := os.WriteFile(pidFile(service.Name), fmt.Append(nil, pid), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "machine:", err)
	}
	status := <-ended
	_ = os.Remove(pidFile(service.Name))
	fmt.Fprintf(log, "machine: %s ended: exit %d, signal %d\n", service.Name, status.ExitStatus(), status.Signal())
	return status.ExitStatus()
}

// reap waits for children, its own and orphans, for ever.
func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err != nil {
			// None to wait for; or interrupted.
			time.Sleep(restartDelay / 10)
			continue
		}
		s.mu.Lock()
		ended := s.ends[pid]
		delete(s.ends, pid)
		s.mu.Unlock()
		if ended != nil {
			ended <- status
		}
	}
}
