// SPDX-License-Identifier: Apache-2.0

package runfault_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"calico-cni/internal/runfault"
)

// program returns the path of a new file.
func program(t *testing.T, text string, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPlainNamesWhyAProgramFails(t *testing.T) {
	for _, c := range []struct {
		name, want string
		cmd        *exec.Cmd
		kind       error
	}{
		{"not in PATH", "no such file in PATH", exec.Command("no-such-program"), exec.ErrNotFound},
		{"no such file", "no such file", exec.Command("/none/program"), fs.ErrNotExist},
		{
			"not executable", "the file is not executable, or may not be run here (noexec, seccomp or SELinux)",
			exec.Command(program(t, "#!/bin/sh\n", 0o600)), fs.ErrPermission,
		},
		{
			"no interpreter", "its interpreter, in the #! line, or its dynamic loader does not exist",
			exec.Command(program(t, "#!/none\n", 0o700)), nil,
		},
		{
			"no program", "the file is not a program for this architecture, or is a script without #! line (exec format error)",
			exec.Command(program(t, "text", 0o700)), nil,
		},
		{"exit code", "it exits with code 3", exec.Command("/bin/sh", "-c", "exit 3"), nil},
		{"signal", `it is killed by the signal "killed"`, exec.Command("/bin/sh", "-c", "kill -9 $$"), nil},
	} {
		err := c.cmd.Run()
		got := runfault.Plain(err)
		if got == nil || got.Error() != c.want || c.kind != nil && !errors.Is(got, c.kind) {
			t.Errorf("%s: %v, want %s; the error was %v", c.name, got, c.want, err)
		}
	}
	other := errors.New("other")
	if got := runfault.Plain(other); got != other {
		t.Errorf("an unknown error becomes %v", got)
	}
}
