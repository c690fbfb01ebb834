// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Program is a static binary of the guest with its arguments and working directory.
type Program struct {
	Dir  string
	Args []string
}

// Guest is a virtual machine that runs programs in sequence and then powers off.
type Guest struct {
	Kernel Kernel
	// Root is the directory with the guest's files. Its file init must be the program vm/guest.
	Root     string
	Programs []Program
}

// ProgramsFile and ModulesDir contain what the guest's first process runs and loads.
const (
	ProgramsFile = "programs.json"
	ModulesDir   = "modules"
)

// Run boots the guest and copies its console to w until the guest powers off or ctx ends. Only the console contains the
// results of the programs.
func (g Guest) Run(ctx context.Context, w io.Writer) error {
	if err := g.prepare(); err != nil {
		return fmt.Errorf("prepare guest: %w", err)
	}
	initrd := g.Root + ".cpio"
	if err := g.pack(initrd); err != nil {
		return fmt.Errorf("pack guest: %w", err)
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64",
		"-accel", "tcg", "-cpu", "qemu64,cx16=off", "-smp", "1", "-m", "1024",
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-nic", "none", "-no-reboot",
		"-kernel", g.Kernel.Image, "-initrd", initrd, "-append", "console=ttyS0 panic=-1 quiet")
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run guest: %w", err)
	}
	return nil
}

// prepare adds the files that the guest's first process reads.
func (g Guest) prepare() error {
	programs, err := json.Marshal(g.Programs)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(g.Root, ProgramsFile), programs, 0o644); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(g.Root, ModulesDir), 0o755); err != nil {
		return err
	}
	for i, module := range g.Kernel.Modules {
		data, err := os.ReadFile(module)
		if err != nil {
			return err
		}
		path := filepath.Join(g.Root, ModulesDir, fmt.Sprintf("%02d-%s", i, filepath.Base(module)))
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (g Guest) pack(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	a := archive{w: f}
	if err := a.addTree(g.Root); err != nil {
		f.Close()
		return err
	}
	if err := a.end(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
