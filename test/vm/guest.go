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

// Program is what a guest runs: a static binary among its files, with arguments, in a directory of the guest's.
type Program struct {
	Dir  string
	Args []string
}

// Guest is a virtual machine that runs programs one after the other and then ends.
type Guest struct {
	Kernel Kernel
	// Root is a directory whose files are the guest's. It needs the first process, vm/guest, as init.
	Root     string
	Programs []Program
}

// ProgramsFile and ModulesDir are where the guest's first process finds what to run and what to load.
const (
	ProgramsFile = "programs.json"
	ModulesDir   = "modules"
)

// Run boots the guest and copies its console to w until it has ended by itself. ctx ends it before. What became of its programs
// is told on the console alone.
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

// prepare adds to the guest's files what its first process looks for.
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
		if err := os.WriteFile(filepath.Join(g.Root, ModulesDir, fmt.Sprintf("%02d-%s", i, filepath.Base(module))), data, 0o644); err != nil {
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
