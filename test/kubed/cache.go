// SPDX-License-Identifier: Apache-2.0

package kubed

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	binaryName = "kubed"
	digestName = "kubed.sha256"
)

// cached returns the binary in dir if it is there and whole, and notes that it is in use.
func (b Builder) cached(dir string) (string, bool) {
	binary := filepath.Join(dir, binaryName)
	want, err := os.ReadFile(filepath.Join(dir, digestName))
	if err != nil {
		return "", false
	}
	got, err := digest(binary)
	if err != nil || !bytes.Equal(got, want) {
		fmt.Fprintf(b.Progress, "kubed: %s is damaged, building it again\n", binary)
		return "", false
	}
	// sweep goes by this time. Where it cannot be set, in a cache of another user, that user sweeps.
	now := time.Now()
	_ = os.Chtimes(dir, now, now)
	return binary, true
}

// seal writes the digest of the binary in dir beside it.
func seal(dir string) error {
	sum, err := digest(filepath.Join(dir, binaryName))
	if err != nil {
		return fmt.Errorf("digest kubed: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, digestName), sum, 0o644); err != nil {
		return fmt.Errorf("write digest of kubed: %w", err)
	}
	return nil
}

// digest returns the line that sha256sum prints for a file, when called in the file's directory.
func digest(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%x  %s\n", h.Sum(nil), filepath.Base(file)), nil
}

// sweep removes the remains of builds that were killed, and all binaries but the ones used last. The caller
// holds the cache's lock, so no build is under way. A process that runs a binary keeps it: the kernel frees it
// when the process ends.
func sweep(cache string) error {
	dead, err := filepath.Glob(filepath.Join(cache, "building-*"))
	if err != nil {
		return fmt.Errorf("sweep cache of kubed: %w", err)
	}
	binaries, err := filepath.Glob(filepath.Join(cache, "kubed-*"))
	if err != nil {
		return fmt.Errorf("sweep cache of kubed: %w", err)
	}
	used := make(map[string]time.Time)
	for _, dir := range binaries {
		if info, err := os.Stat(dir); err == nil {
			used[dir] = info.ModTime()
		}
	}
	slices.SortFunc(binaries, func(a, b string) int { return used[b].Compare(used[a]) })
	if len(binaries) > kept {
		dead = append(dead, binaries[kept:]...)
	}
	var errs []error
	for _, dir := range dead {
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}
