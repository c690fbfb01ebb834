// SPDX-License-Identifier: Apache-2.0

package nodefiles

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// written is a Record that knows the last content of each file.
type written map[string][32]byte

func (w written) Owns(path string, sum [32]byte) bool { return w[path] == sum }

func (w written) Put(path string, data []byte, mode fs.FileMode) (bool, error) {
	w[path] = sha256.Sum256(data)
	return true, os.WriteFile(path, data, mode)
}

func newFiles(t *testing.T) *Files {
	t.Helper()
	f := &Files{
		Enabled: true, Dir: t.TempDir(), MTU: 1400, LinkMTU: func() (int, error) { return 9000, nil },
		Record: written{}, Log: slog.New(slog.DiscardHandler),
	}
	f.SetNode("worker-1")
	return f
}

// content returns the files in the directory, by name. A file that is not regular has no content.
func (f *Files) content(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, e := range entries {
		found[e.Name()] = ""
		if e.Type().IsRegular() {
			data, err := os.ReadFile(filepath.Join(f.Dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			found[e.Name()] = string(data)
		}
	}
	return found
}

func TestInstallLeavesFilesOfAnAgent(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(f *Files) error
		want   map[string]string
	}{
		{"nothing", func(*Files) error { return nil }, map[string]string{"nodename": "worker-1", "mtu": "1400"}},
		{"disabled", func(f *Files) error { f.Enabled = false; return nil }, map[string]string{}},
		{
			"MTU of the link", func(f *Files) error { f.MTU = 0; return nil },
			map[string]string{"nodename": "worker-1", "mtu": "9000"},
		},
		{
			"file of an agent", func(f *Files) error { return os.WriteFile(f.Dir+"/mtu", []byte("1450"), 0o644) },
			map[string]string{"nodename": "worker-1", "mtu": "1450"},
		},
		{
			"own file of an earlier run", func(f *Files) error {
				err := f.Install()
				f.MTU = 1300
				return err
			},
			map[string]string{"nodename": "worker-1", "mtu": "1300"},
		},
		{
			"FIFO", func(f *Files) error { return syscall.Mkfifo(f.Dir+"/mtu", 0o600) },
			map[string]string{"nodename": "worker-1", "mtu": ""},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFiles(t)
			if err := errors.Join(tt.before(f), f.Install()); err != nil {
				t.Fatal(err)
			}
			if got := f.content(t); !maps.Equal(got, tt.want) {
				t.Errorf("files are %q, want %q", got, tt.want)
			}
			if found, err := f.Find(); len(found) > 0 || err != nil {
				t.Errorf("after the installation, Find returns %v, %v", found, err)
			}
		})
	}
}

func TestFindReportsMissingAndClosedFiles(t *testing.T) {
	f := newFiles(t)
	if err := errors.Join(f.Install(), os.Remove(f.Dir+"/nodename"), os.Chmod(f.Dir+"/mtu", 0o600)); err != nil {
		t.Fatal(err)
	}
	found, err := f.Find()
	if err != nil || len(found) != 2 || !strings.Contains(found[0], "nodename is missing") ||
		!strings.Contains(found[1], "mtu differs from the desired state: -rw-------") {
		t.Errorf("Find = %q, %v", found, err)
	}
}

func TestErrorsNameTheRemedy(t *testing.T) {
	unknown := errors.New("no default route")
	for _, tt := range []struct {
		set    func(f *Files)
		want   error
		remedy string
	}{
		{func(f *Files) { f.Dir += "/none" }, fs.ErrNotExist, "unset NODE_FILES"},
		{
			func(f *Files) { f.MTU, f.LinkMTU = 0, func() (int, error) { return 0, unknown } }, unknown, "set CNI_MTU",
		},
	} {
		f := newFiles(t)
		tt.set(f)
		_, found := f.Find()
		for _, err := range []error{f.Install(), found} {
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.remedy) {
				t.Errorf("error %v, want %v with %q", err, tt.want, tt.remedy)
			}
		}
	}
}
