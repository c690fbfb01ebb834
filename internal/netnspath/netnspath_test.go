// SPDX-License-Identifier: Apache-2.0

package netnspath_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"calico-cni/internal/netnspath"
	"calico-cni/internal/nettest"
)

func TestOpenRejectsOtherFilesWithoutBlocking(t *testing.T) {
	dir := t.TempDir()
	file, fifo := filepath.Join(dir, "file"), filepath.Join(dir, "fifo")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), unix.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		file, fifo, dir, "/", filepath.Join(dir, "none"), file + "/below",
		"/proc/self/ns/mnt", "",
	} {
		if h, err := netnspath.Open(path); !errors.Is(err, netnspath.ErrNone) || h.IsOpen() {
			t.Errorf("%q: %v, %v; want ErrNone", path, h, err)
		}
	}
	for _, path := range []string{"/proc/self/ns/net", nettest.NewNetNS(t).Path} {
		h, err := netnspath.Open(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		_ = h.Close()
	}
}
