// SPDX-License-Identifier: Apache-2.0

// Command guest is the first process of a virtual machine. It mounts the usual file systems, loads the modules, runs
// the listed programs, prints the result of each, and powers the machine off.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"calico-cni/test/vm"
)

func main() {
	if err := run(); err != nil {
		fmt.Println("guest:", err)
	}
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("guest: power off:", err)
	}
}

func run() error {
	for _, step := range []func() error{mount, loadModules} {
		if err := step(); err != nil {
			return err
		}
	}
	data, err := os.ReadFile(filepath.Join("/", vm.ProgramsFile))
	if err != nil {
		return err
	}
	var programs []vm.Program
	if err := json.Unmarshal(data, &programs); err != nil {
		return fmt.Errorf("read %s: %w", vm.ProgramsFile, err)
	}
	for _, p := range programs {
		cmd := exec.Command(p.Args[0], p.Args[1:]...)
		cmd.Dir, cmd.Env = p.Dir, []string{"PATH=/bin", "HOME=/tmp"}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
		result := "succeeded"
		if err := cmd.Run(); err != nil {
			result = "failed: " + err.Error()
		}
		fmt.Printf("guest: %s %s\n", strings.Join(p.Args, " "), result)
	}
	return nil
}

func mount() error {
	for _, m := range []struct{ kind, dir string }{
		{"proc", "/proc"},
		{"sysfs", "/sys"},
		{"devtmpfs", "/dev"},
		{"tmpfs", "/tmp"},
		{"tmpfs", "/run"},
		{"tmpfs", "/var"},
	} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	return nil
}

// loadModules loads the modules in the order of their names. The kernel decompresses compressed modules.
func loadModules() error {
	files, err := filepath.Glob(filepath.Join("/", vm.ModulesDir, "*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		flags := 0
		if filepath.Ext(file) != ".ko" {
			flags = unix.MODULE_INIT_COMPRESSED_FILE
		}
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", flags)
		f.Close()
		if err != nil {
			return fmt.Errorf("load %s: %w", file, err)
		}
	}
	return nil
}
