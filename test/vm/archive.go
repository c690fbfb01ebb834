// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// archive writes an initramfs: cpio in the format "newc" (Documentation/driver-api/early-userspace/buffer-format.rst in
// the kernel's source).
type archive struct {
	w     io.Writer
	inode int
}

const (
	modeDir  = 0o040755
	modeFile = 0o100755
)

// addTree adds all regular files and directories below root with their relative paths.
func (a *archive) addTree(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return a.add(name, modeDir, nil)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return a.add(name, modeFile, data)
	})
}

// end writes the trailer of the archive.
func (a *archive) end() error { return a.add("TRAILER!!!", 0, nil) }

func (a *archive) add(name string, mode int, data []byte) error {
	a.inode++
	links := 1
	// Magic, inode, mode, uid, gid, links, mtime, size, devices (4), length of the name with its NUL, checksum.
	head := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		a.inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	for _, part := range [][]byte{append([]byte(head+name), 0), data} {
		if _, err := a.w.Write(pad(part)); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// pad appends zero bytes up to a multiple of four.
func pad(b []byte) []byte {
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}
