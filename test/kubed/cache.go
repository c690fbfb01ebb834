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

// cached returns the binary in dir if it exists and matches its digest, and updates its time of use.
func (b Builder) cached(dir string) (string, bool) {
	binary := filepath.Join(dir, binaryName)
	want, err := os.ReadFile(filepath.Join(dir, digestName))
	if err != nil {
		return "", false
	}
	got, err := digest(binary)
	if err != nil || !bytes.Equal(got, want) {
		fmt.Fprintf(b.Progress, "kubed: %s is damaged, rebuilding it\n", binary)
		return "", false
	}
	// prune uses this time. Setting it fails in the cache of another user, which that user prunes.
	now := time.Now()
	_ = os.Chtimes(dir, now, now)
	return binary, true
}

// writeDigest writes the digest of the binary in dir.
func writeDigest(dir string) error {
	sum, err := digest(filepath.Join(dir, binaryName))
	if err != nil {
		return fmt.Errorf("compute digest of kubed: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, digestName), sum, 0o644); err != nil {
		return fmt.Errorf("write digest of kubed: %w", err)
	}
	return nil
}

// digest returns the line that sha256sum prints for a file in the working directory.
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

// prune removes the leftovers of killed builds, and all binaries except the most recently used ones. The caller holds
// the lock of the cache, so no build is running. A running process keeps its removed binary until it ends.
func prune(cache string) error {
	unused, err := filepath.Glob(filepath.Join(cache, "building-*"))
	if err != nil {
		return fmt.Errorf("prune cache of kubed: %w", err)
	}
	binaries, err := filepath.Glob(filepath.Join(cache, "kubed-*"))
	if err != nil {
		return fmt.Errorf("prune cache of kubed: %w", err)
	}
	used := make(map[string]time.Time)
	for _, dir := range binaries {
		if info, err := os.Stat(dir); err == nil {
			used[dir] = info.ModTime()
		}
	}
	slices.SortFunc(binaries, func(a, b string) int { return used[b].Compare(used[a]) })
	if len(binaries) > kept {
		unused = append(unused, binaries[kept:]...)
	}
	var errs []error
	for _, dir := range unused {
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}
