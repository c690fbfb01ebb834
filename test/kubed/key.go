// SPDX-License-Identifier: Apache-2.0

package kubed

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// buildEnv overrides the caller's environment for the build. Without cgo the binary is static and reproducible, and
// needs no C compiler.
var buildEnv = []string{"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off"}

// key returns a hash of all inputs of the build: the files of the module, the toolchain, the target, the flags.
func (b Builder) key(ctx context.Context) (string, error) {
	toolchain, err := b.goEnv(ctx, "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q\n%q\n%q\n", toolchain, buildEnv, b.Flags)
	if err := hashFiles(h, os.DirFS(b.Module)); err != nil {
		return "", fmt.Errorf("hash module %s: %w", b.Module, err)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}

// goEnv returns values of `go env` in the module, because its go.mod may select a toolchain.
func (b Builder) goEnv(ctx context.Context, names ...string) (string, error) {
	cmd := b.goCommand(ctx, append([]string{"env"}, names...)...)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w: is Go installed?", withStderr(err))
	}
	return string(out), nil
}

// goCommand prepares a go command in the module.
func (b Builder) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.Module
	cmd.Env = append(os.Environ(), buildEnv...)
	return cmd
}

// hashFiles writes the name, size and content of every file of the module except tests.
func hashFiles(w io.Writer, module fs.FS) error {
	return fs.WalkDir(module, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		data, err := fs.ReadFile(module, name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%q %d\n%s", name, len(data), data)
		return err
	})
}
