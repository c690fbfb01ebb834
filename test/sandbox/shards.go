// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// RunShards is like Run with n concurrent sandboxes. Each gets name=i/n in its environment, with i from 0. The output
// of a shard is written when the shard ends. The exit code is the highest of all.
func RunShards(out io.Writer, n int, name string, env ...string) (exit int, err error) {
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		errs []error
	)
	for i := range n {
		wg.Go(func() {
			var output bytes.Buffer
			code, err := runShard(&output, append(env[:len(env):len(env)], fmt.Sprintf("%s=%d/%d", name, i, n)))
			mu.Lock()
			defer mu.Unlock()
			exit, errs = max(exit, code), append(errs, err)
			_, _ = io.Copy(out, &output)
		})
	}
	wg.Wait()
	return exit, errors.Join(errs...)
}

func runShard(output io.Writer, env []string) (exit int, err error) {
	cmd, err := Command(env...)
	if err != nil {
		return 1, err
	}
	// The death signal is tied to the thread that starts the child, so this thread must live as long as the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	err = cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return max(ended.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, fmt.Errorf("run sandbox: %w", err)
	}
	return 0, nil
}
