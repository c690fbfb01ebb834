// SPDX-License-Identifier: Apache-2.0

// Command peak runs a program and writes its peak memory in KiB to a file: peak FILE PROGRAM. It must be small, because
// a child process inherits the peak of its parent.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	cmd := exec.Command(os.Args[2])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "run", os.Args[2]+":", err)
		os.Exit(1)
	}
	peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	if err := os.WriteFile(os.Args[1], fmt.Appendf(nil, "%d", peak), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, "write peak:", err)
		os.Exit(1)
	}
}
