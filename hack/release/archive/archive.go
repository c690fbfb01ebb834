// SPDX-License-Identifier: Apache-2.0

// Package archive writes tar files that depend only on their entries.
package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// File is an entry of an archive. It belongs to root and may be executable.
type File struct {
	// Name is the path in the archive, without a leading slash. Parent directories are added.
	Name       string
	Data       []byte
	Executable bool
}

// Tar returns an uncompressed archive of files, sorted by name, all with the same date.
func Tar(files []File, date time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	seen := map[string]bool{".": true}
	files = slices.SortedFunc(slices.Values(files), func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range files {
		for _, dir := range parents(f.Name) {
			if seen[dir] {
				continue
			}
			seen[dir] = true
			if err := w.WriteHeader(header(dir+"/", 0, 0o755, tar.TypeDir, date)); err != nil {
				return nil, fmt.Errorf("archive %s: %w", dir, err)
			}
		}
		mode := int64(0o644)
		if f.Executable {
			mode = 0o755
		}
		if err := w.WriteHeader(header(f.Name, len(f.Data), mode, tar.TypeReg, date)); err != nil {
			return nil, fmt.Errorf("archive %s: %w", f.Name, err)
		}
		if _, err := w.Write(f.Data); err != nil {
			return nil, fmt.Errorf("archive %s: %w", f.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("end archive: %w", err)
	}
	return out.Bytes(), nil
}

func header(name string, size int, mode int64, kind byte, date time.Time) *tar.Header {
	return &tar.Header{
		Name: name, Size: int64(size), Mode: mode, Typeflag: kind, ModTime: date.UTC().Truncate(time.Second),
		Format: tar.FormatUSTAR,
	}
}

// parents lists the parent directories of a name, topmost first.
func parents(name string) []string {
	var out []string
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		out = append(out, dir)
	}
	slices.Reverse(out)
	return out
}

// Gzip compresses data. The header has no name and no time.
func Gzip(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return out.Bytes(), nil
}

// Dir returns the regular files below a directory, with prefix before their names.
func Dir(dir, prefix string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(dir, func(file string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		files = append(files, File{
			Name: path.Join(prefix, filepath.ToSlash(name)), Data: data,
			Executable: info.Mode()&0o100 != 0,
		})
		return err
	})
	return files, err
}
