// SPDX-License-Identifier: Apache-2.0

package safeopen

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// place creates a file of each type at a path.
var place = map[string]func(path string) error{
	"symbolic link":  func(path string) error { return os.Symlink(path+".target", path) },
	"link to itself": func(path string) error { return os.Symlink(path, path) },
	"FIFO":           func(path string) error { return syscall.Mkfifo(path, 0o666) },
	"directory":      func(path string) error { return os.Mkdir(path, 0o755) },
	"device":         func(path string) error { return syscall.Mknod(path, syscall.S_IFCHR|0o666, 1<<8|3) },
	"socket": func(path string) error {
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		return errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Close(fd))
	},
}

func TestFileOpensOnlyRegularFiles(t *testing.T) {
	for name, put := range place {
		for _, flags := range []int{
			os.O_RDONLY, os.O_WRONLY | os.O_CREATE, os.O_WRONLY | os.O_CREATE | os.O_APPEND,
			os.O_RDONLY | os.O_CREATE,
		} {
			t.Run(name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "f")
				if err := errors.Join(os.WriteFile(path+".target", []byte("keep"), 0o600), put(path)); err != nil {
					t.Fatal(err)
				}
				file, _, err := File(path, flags, 0o600)
				if err == nil {
					_ = file.Close()
					t.Fatalf("flags %#x: opened", flags)
				}
				refused(t, path, err)
			})
		}
	}
}

// refused checks for an error that names the path, and that the target of a link is unchanged.
func refused(t *testing.T, path string, err error) {
	t.Helper()
	// The kernel itself rejects writing to a directory.
	if !errors.Is(err, ErrNotRegular) && !errors.Is(err, syscall.EISDIR) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
	if data, err := os.ReadFile(path + ".target"); err != nil || string(data) != "keep" {
		t.Errorf("target holds %q, %v", data, err)
	}
}

func TestWriteFileWritesOnlyRegularFiles(t *testing.T) {
	for name, put := range place {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if err := errors.Join(os.WriteFile(path+".target", []byte("keep"), 0o600), put(path)); err != nil {
				t.Fatal(err)
			}
			refused(t, path, WriteFile(path, []byte("new"), 0o600))
		})
	}
	path := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"longer than the next", "short"} {
		if err := WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != text {
			t.Errorf("file holds %q, %v; want %q", data, err, text)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestReadFollowsOnlyOwnLinks(t *testing.T) {
	for name, put := range place {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if err := errors.Join(os.WriteFile(path+".target", []byte("keep"), 0o600), put(path)); err != nil {
				t.Fatal(err)
			}
			data, err := Read(path)
			if name == "symbolic link" {
				if string(data) != "keep" || err != nil {
					t.Errorf("own link: %q, %v", data, err)
				}
				if err := os.Lchown(path, 12345, 12345); err != nil {
					t.Fatal(err)
				}
				_, err = Read(path)
			}
			refused(t, path, err)
		})
	}
}

func TestReadIsLimited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for size, ok := range map[int64]bool{0: true, MaxRead: true, MaxRead + 1: false} {
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
			t.Fatal(err)
		}
		for name, read := range map[string]func(string) ([]byte, error){"Read": Read, "ReadRegular": ReadRegular} {
			if data, err := read(path); (err == nil) != ok || ok && int64(len(data)) != size {
				t.Errorf("%s of %d bytes: %d read, %v", name, size, len(data), err)
			}
		}
	}
	if _, err := Read(path + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestRegularFollowsLinksToRegularFilesOnly(t *testing.T) {
	for name, put := range place {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			link := path + ".link"
			if err := errors.Join(os.WriteFile(path+".target", []byte("keep"), 0o600), put(path),
				os.Symlink(path, link), os.Lchown(link, 12345, 12345)); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{path, link} {
				file, err := Regular(path)
				if err == nil {
					_ = file.Close()
				}
				data, errRead := ReadRegular(path)
				if name == "symbolic link" {
					if err != nil || errRead != nil || string(data) != "keep" {
						t.Errorf("%s: %v; read %q, %v", path, err, data, errRead)
					}
				} else if !errors.Is(err, ErrNotRegular) || !errors.Is(errRead, ErrNotRegular) {
					t.Errorf("%s: %v, %v, want ErrNotRegular", path, err, errRead)
				}
			}
		})
	}
}

func TestDirOpensOnlyDirectories(t *testing.T) {
	for name, put := range place {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "d")
			if err := errors.Join(os.WriteFile(path+".target", nil, 0o600), put(path)); err != nil {
				t.Fatal(err)
			}
			dir, err := Dir(path)
			if err == nil {
				_ = dir.Close()
			}
			if (err == nil) != (name == "directory") {
				t.Errorf("Dir of a %s: %v", name, err)
			}
		})
	}
}
