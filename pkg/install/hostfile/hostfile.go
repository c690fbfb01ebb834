// SPDX-License-Identifier: Apache-2.0

// Package hostfile inspects the files that install manages on the host. It changes nothing except stale temporary
// files.
package hostfile

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/safeopen"
)

// SecretMode is the mode of files that may hold a token: the kubeconfig and the network configuration, as with Calico.
const SecretMode fs.FileMode = 0o600

// Directory returns an error unless path is a directory.
func Directory(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", path)
	}
	return err
}

// writeAccess is W_OK of access(2).
const writeAccess = 0x2

// Writable returns why this process cannot write a directory, nil if it can.
func Writable(dir string) error { return syscall.Access(dir, writeAccess) }

// Replaceable returns an error if the path is occupied by something that a regular file cannot replace.
func Replaceable(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular() && info.Mode().Type() != fs.ModeSymlink:
		return fmt.Errorf("%s is %w but %s; move it away", path, safeopen.ErrNotRegular, info.Mode())
	}
	return nil
}

// HasMode reports whether a path has exactly this mode, the file type included.
func HasMode(path string, mode fs.FileMode) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode() == mode
}

// Within reports whether a path is a regular file that grants no permission beyond mode.
func Within(path string, mode fs.FileMode) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&^mode == 0
}

// SHA256 returns the digest of a file's content.
func SHA256(path string) (sum [32]byte, err error) {
	f, err := safeopen.Regular(path)
	if err != nil {
		return sum, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [32]byte(h.Sum(nil)), nil
}

// staleAfter is the age at which a temporary file has no live writer: writing takes far less.
const staleAfter = 10 * time.Minute

// SweepStale removes temporary files that killed writers left in a directory. It logs a failure, which does not stop an
// installation.
func SweepStale(dir string, now time.Time, log *slog.Logger) { sweep(dir, now.Add(-staleAfter), log) }

// SweepAll removes all temporary files of a directory, also recent ones. A live writer fails and is repeated.
func SweepAll(dir string, now time.Time, log *slog.Logger) { sweep(dir, now, log) }

func sweep(dir string, before time.Time, log *slog.Logger) {
	if err := atomicfile.Sweep(dir, before); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("temporary files of an earlier run stay", "dir", dir, "error", err)
	}
}
