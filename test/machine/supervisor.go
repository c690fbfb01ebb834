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

// Directories of a machine for the logs and the process IDs of its services.
const (
	logDir = "/var/log/machine"
	runDir = "/run/machine"
)

func pidFile(service string) string { return filepath.Join(runDir, service+".pid") }

// restartDelay is the delay before an ended service is restarted.
const restartDelay = 300 * time.Millisecond

// supervisor is the init process of a machine: it keeps services running and reaps orphans.
type supervisor struct {
	spec Spec
	mu   sync.Mutex // held during a start, so that reap knows the child before it ends
	ends map[int]chan syscall.WaitStatus
}

func newSupervisor(spec Spec) *supervisor {
	return &supervisor{spec: spec, ends: map[int]chan syscall.WaitStatus{}}
}

// run starts the services in order.
func (s *supervisor) run() {
	for _, service := range s.spec.Services {
		if service.Once {
			s.once(service)
			continue
		}
		go s.keep(service)
	}
}

// once runs a command until it succeeds, unless it has succeeded in an earlier boot.
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

// keep restarts a service when it ends.
func (s *supervisor) keep(service Service) {
	for {
		s.start(service)
		time.Sleep(restartDelay)
	}
}

// start runs a service until it ends and returns its exit code, or -1 if it could not be started or was killed.
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
		Dir: "/", Env: s.spec.Env, Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys: &syscall.SysProcAttr{Setsid: true},
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

// reap waits for children and orphans. It never returns.
func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err != nil {
			// No child exists, or the call was interrupted.
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
