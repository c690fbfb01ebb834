// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"bytes"
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"calico-cni/internal/disktest"
)

func TestFullFileSystemKeepsOldFile(t *testing.T) {
	dir := disktest.Small(t, "64k")
	path := filepath.Join(dir, "f")
	put(t, path, "old", 0o644)
	if written, err := WriteFile(path, bytes.Repeat([]byte{'n'}, 256<<10), 0o644); written ||
		!errors.Is(err, syscall.ENOSPC) {
		t.Errorf("WriteFile = %v, %v; want ENOSPC", written, err)
	}
	checkTree(t, dir, "-rw-r--r-- f old\n")
	if _, err := WriteFile(path, []byte("new"), 0o644); err != nil {
		t.Errorf("with space again: %v", err)
	}
	checkTree(t, dir, "-rw-r--r-- f new\n")
}
