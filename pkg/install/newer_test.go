// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"calico-cni/internal/buildinfo"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/hostfile"
)

// ofVersion sets the version of the installer for the duration of a test.
func ofVersion(t *testing.T, v string) {
	t.Helper()
	before := buildinfo.Version
	t.Cleanup(func() { buildinfo.Version = before })
	buildinfo.Version = v
}

// newerThere has v1.1.0 install the plugin v2 on the host, and then sets the image to v1.0.0 with the plugin v1.
func (h *host) newerThere() {
	h.t.Helper()
	h.put("image/calico", "v2")
	ofVersion(h.t, "v1.1.0")
	h.mustInstall()
	h.put("image/calico", "v1")
	ofVersion(h.t, "v1.0.0")
	h.log.Reset()
}

func newerInstalled() string {
	return strings.Replace(installed, "bin/calico v1", "bin/calico v2", 1)
}

func TestRollbackInstallsTheOlderVersion(t *testing.T) {
	h := newHost(t)
	h.newerThere()
	if s, err := h.status(); !errors.Is(err, fault.ErrDiffers) || s.Binaries[0].State != hostfile.Newer ||
		!strings.Contains(err.Error(), "newer, of version v1.1.0, newer than v1.0.0") {
		t.Errorf("status %+v, %v", s.Binaries, err)
	}
	h.out.Reset()
	if err := h.verb(func(c *config.Config) { c.DryRun = true }); !errors.Is(err, fault.ErrDiffers) ||
		!strings.Contains(h.out.String(), "would be written") || !strings.Contains(h.out.String(),
		"of version v1.1.0, newer than v1.0.0") {
		t.Errorf("dry run: %v\n%s", err, h.out.String())
	}
	h.mustInstall()
	h.checkTree(installed)
	// And forward again, with bytes that were there before.
	h.newerThere()
	h.checkTree(newerInstalled())
}

func TestWithoutDowngradeNewerBinariesAreKept(t *testing.T) {
	h := newHost(t)
	h.newerThere()
	h.cfg.Downgrade = false
	h.mustInstall()
	h.checkTree(newerInstalled())
	if !strings.Contains(h.log.String(), "is kept: version v1.1.0 is newer than v1.0.0") {
		t.Errorf("log:\n%s", h.log.String())
	}
	if s, err := h.status(); err != nil || s.Binaries[0].State != hostfile.Newer {
		t.Errorf("status %+v, %v", s.Binaries, err)
	}
	h.out.Reset()
	if err := h.verb(func(c *config.Config) { c.DryRun = true }); err != nil ||
		!strings.Contains(h.out.String(), "calico is kept: version v1.1.0") {
		t.Errorf("dry run: %v\n%s", err, h.out.String())
	}
	// What is not the newer installer's work any more is replaced.
	h.write("host/opt/cni/bin/calico", "rubbish")
	h.mustInstall()
	h.checkTree(installed)
}

// TestWatchKeepsBinariesOfNewerInstaller runs an installer of a newer version while an older one watches.
func TestWatchKeepsBinariesOfNewerInstaller(t *testing.T) {
	ofVersion(t, "v1.0.0")
	w := newWatched(t)
	w.look()
	w.host.newerThere()
	for range 3 {
		w.look()
	}
	w.checkTree(newerInstalled())
	if got := strings.Count(w.log.String(), "is kept: version v1.1.0"); got != 1 {
		t.Errorf("logged %d times:\n%s", got, w.log.String())
	}
	w.put("host/opt/cni/bin/calico", "old")
	w.look()
	w.checkTree(installed)
}

// TestWatchReplacesBinariesOfAnOlderInstaller runs an older installer while a newer one watches, as at the start of a
// rollback.
func TestWatchReplacesBinariesOfAnOlderInstaller(t *testing.T) {
	ofVersion(t, "v1.1.0")
	w := newWatched(t)
	w.look()
	ofVersion(t, "v1.0.0")
	w.put("image/calico", "v2")
	w.mustInstall()
	w.put("image/calico", "v1")
	ofVersion(t, "v1.1.0")
	if !strings.Contains(w.tree(), "bin/calico v2") {
		t.Fatal(w.tree())
	}
	w.look()
	w.checkTree(installed)
}

// TestWatchReadsKeptBinariesOnce compares access times. With relatime, the kernel updates the access time of a file if
// it is before that of the last change.
func TestWatchReadsKeptBinariesOnce(t *testing.T) {
	ofVersion(t, "v1.0.0")
	w := newWatched(t)
	w.look()
	w.host.newerThere()
	path := w.path("host/opt/cni/bin/calico")
	if err := os.Chtimes(path, time.Unix(1e9, 0), time.Unix(2e9, 0)); err != nil {
		t.Fatal(err)
	}
	read := func() syscall.Timespec {
		var s syscall.Stat_t
		if err := syscall.Stat(path, &s); err != nil {
			t.Fatal(err)
		}
		return s.Atim
	}
	w.look()
	before := read()
	for range 3 {
		time.Sleep(10 * time.Millisecond)
		w.look()
	}
	if after := read(); after != before {
		t.Errorf("read at %v, and again at %v", before, after)
	}
}
