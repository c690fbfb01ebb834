// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"calico-cni/pkg/install/binaries"
	"calico-cni/pkg/install/fault"
)

func TestInstallReplacesDifferentBinaries(t *testing.T) {
	h := newHost(t)
	h.put("host/opt/cni/bin/calico", "v2")
	h.write("host/opt/cni/bin/calico-ipam", "not executable")
	h.write("host/opt/cni/bin/bridge", "of another program")
	h.mustInstall()
	h.checkTree(strings.Replace(installed, "-rwxr-xr-x opt/cni/bin/calico v1",
		"-rw-r--r-- opt/cni/bin/bridge\n-rwxr-xr-x opt/cni/bin/calico v1", 1))
}

func TestInstallReplacesARunningBinary(t *testing.T) {
	h := newHost(t)
	// Only a program in machine code is busy while it runs.
	cat, err := os.ReadFile("/bin/cat")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.path("host/opt/cni/bin/calico"), cat, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(h.path("host/opt/cni/bin/calico"))
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	if _, err := os.OpenFile(h.path("host/opt/cni/bin/calico"), os.O_WRONLY, 0); !errors.Is(err, syscall.ETXTBSY) {
		t.Fatalf("the binary is not busy: %v", err)
	}
	h.mustInstall()
	h.checkTree(installed)
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the running plugin is gone: %v", err)
	}
}

func TestInstallRefusesABadBinary(t *testing.T) {
	for name, want := range map[string]string{
		"failing": "segment 7 is missing",
		"old":     "supports CNI versions",
		"portmap": "exec format error",
	} {
		for _, plugin := range []string{"calico", "calico-ipam"} {
			t.Run(plugin+" "+name, func(t *testing.T) {
				h := newHost(t)
				h.put("host/opt/cni/bin/"+plugin, "v2")
				h.put("image/"+plugin, name)
				err := h.install()
				if !errors.Is(err, binaries.ErrBad) || !strings.Contains(err.Error(), want) ||
					!strings.Contains(err.Error(), plugin) {
					t.Errorf("Run = %v; want binaries.ErrBad with %q", err, want)
				}
				tree := h.tree()
				if !strings.Contains(tree, "opt/cni/bin/"+plugin+" v2\n") || strings.Contains(tree, "net.d") ||
					strings.Contains(tree, "atomicfile") {
					t.Errorf("want the old plugin, and neither a temporary file nor a configuration:\n%s", tree)
				}
			})
		}
	}
}

func TestInstalledBinaries(t *testing.T) {
	const (
		dir    = "host/opt/cni/bin/"
		listed = "-rwxr-xr-x opt/cni/bin/"
		config = "-rw------- etc/cni/net.d/10-calico.conflist\n-rw------- etc/cni/net.d/calico-kubeconfig\n"
	)
	for _, tt := range []struct {
		name   string
		before func(h *host)
		tree   string
	}{
		{"the plugins that configurations chain", func(h *host) {
			for _, name := range []string{"bandwidth", "tuning", "loopback", "host-local"} {
				h.put("image/"+name, "portmap")
			}
		}, listed + "bandwidth portmap\n" + listed + "calico v1\n" + listed + "calico-ipam v1\n" + listed +
			"host-local portmap\n" +
			listed + "loopback portmap\n" + listed + "portmap portmap\n" + listed + "tuning portmap\n"},
		{"names to skip", func(h *host) { h.cfg.SkipBinaries = []string{"portmap", " calico-ipam"} }, listed + "calico v1\n"},
		{"a plugin to skip is missing", func(h *host) {
			h.cfg.SkipBinaries = []string{"calico"}
			_ = os.Remove(h.path("image/calico"))
		}, listed + "calico-ipam v1\n" + listed + "portmap portmap\n"},
		{"no update", func(h *host) {
			h.cfg.UpdateBinaries = false
			h.put(dir+"calico", "v2")
		}, listed + "calico v2\n" + listed + "calico-ipam v1\n" + listed + "portmap portmap\n"},
		{"a directory and a hidden file in the image", func(h *host) {
			_ = os.Mkdir(h.path("image/licences"), 0o755)
			h.write("image/.hidden", "")
		}, listed + "calico v1\n" + listed + "calico-ipam v1\n" + listed + "portmap portmap\n"},
		{"links in the image", func(h *host) {
			_ = os.Remove(h.path("image/calico-ipam"))
			_ = os.Symlink("calico", h.path("image/calico-ipam"))
		}, listed + "calico v1\n" + listed + "calico-ipam v1\n" + listed + "portmap portmap\n"},
		{"a link on the host to one program of several names", func(h *host) {
			h.write(dir+"cni", "many in one")
			_ = os.Symlink("cni", h.path(dir+"portmap"))
		}, listed + "calico v1\n" + listed + "calico-ipam v1\n-rw-r--r-- opt/cni/bin/cni\n" + listed + "portmap portmap\n"},
		{
			"a secondary directory", func(h *host) { _ = os.Mkdir(h.path("host/secondary-bin-dir"), 0o755) },
			strings.TrimPrefix(installed, config) + strings.ReplaceAll(strings.TrimPrefix(installed, config), "opt/cni/bin",
				"secondary-bin-dir"),
		},
		{
			"only a secondary directory", func(h *host) {
				_ = os.Rename(h.path("host/opt/cni/bin"),
					h.path("host/secondary-bin-dir"))
			},
			strings.ReplaceAll(strings.TrimPrefix(installed, config), "opt/cni/bin", "secondary-bin-dir"),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			tt.before(h)
			h.mustInstall()
			h.checkTree(config + tt.tree)
		})
	}
}

func TestInstallRefusesAnImageWithoutAPlugin(t *testing.T) {
	h := newHost(t)
	_ = os.Remove(h.path("image/calico-ipam"))
	if err := h.install(); !errors.Is(err, fault.ErrConfig) || !strings.Contains(err.Error(), "lacks calico-ipam") {
		t.Errorf("Run = %v; want it to name calico-ipam", err)
	}
	h.checkTree("")
}

func TestInstallRefusesAHostWithoutBinaryDirectory(t *testing.T) {
	h := newHost(t)
	_ = os.Remove(h.path("host/opt/cni/bin"))
	if err := h.install(); !errors.Is(err, binaries.ErrMissing) {
		t.Errorf("Run = %v; want binaries.ErrMissing", err)
	}
	h.checkTree("")
}

// mount mounts a tmpfs on the host's first binary directory, in a mount namespace that ends with the test's thread.
// fill writes files to it before the flags take effect.
func (h *host) mount(options string, flags uintptr, fill func(dir string)) {
	h.t.Helper()
	dir := h.path("host/opt/cni/bin")
	runtime.LockOSThread()
	for _, step := range []func() error{
		func() error { return syscall.Unshare(syscall.CLONE_FS | syscall.CLONE_NEWNS) },
		func() error { return syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "") },
		func() error { return syscall.Mount("tmpfs", dir, "tmpfs", 0, options) },
		func() error { fill("host/opt/cni/bin"); return nil },
		func() error { return syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, options) },
	} {
		if err := step(); err != nil {
			h.t.Fatalf("mount a tmpfs (needs root): %v", err)
		}
	}
	h.t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			h.t.Error(err)
		}
	})
}

func TestInstallAcceptsAReadOnlyDirectoryWithTheBinaries(t *testing.T) {
	for _, tt := range []struct {
		name      string
		calico    string
		noUpdate  bool
		secondary bool
		want      error
	}{
		{"the right binaries", "v1", false, false, nil},
		{"another binary", "v2", false, false, binaries.ErrMissing},
		{"another binary, without update", "v2", true, false, nil},
		{"another binary, and a second directory", "v2", false, true, nil},
		{"calico and calico-ipam alone, without update", "v1 alone", true, false, nil},
		{"calico and calico-ipam alone", "v1 alone", false, false, binaries.ErrMissing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			version, alone := strings.CutSuffix(tt.calico, " alone")
			lacking := "calico"
			if alone {
				lacking = "portmap"
			}
			h.cfg.UpdateBinaries = !tt.noUpdate
			if tt.secondary {
				_ = os.Mkdir(h.path("host/secondary-bin-dir"), 0o755)
			}
			h.mount("size=64m", syscall.MS_RDONLY, func(dir string) {
				h.put(filepath.Join(dir, "calico"), version)
				h.put(filepath.Join(dir, "calico-ipam"), "v1")
				if !alone {
					h.put(filepath.Join(dir, "portmap"), "portmap")
				}
			})
			err := h.install()
			if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(),
				"opt/cni/bin lacks "+lacking+" and is not writable: read-only file system") {
				t.Errorf("Run = %v; want %v", err, tt.want)
			}
			if err == nil && !strings.Contains(h.log.String(), "level=WARN") ||
				!strings.Contains(h.tree(), "opt/cni/bin/calico "+version) {
				t.Errorf("want a warning, and an unchanged calico:\n%s%s", h.log.String(), h.tree())
			}
			if strings.Contains(h.tree(), "conflist") != (tt.want == nil) {
				t.Errorf("want a configuration if and only if there are binaries:\n%s", h.tree())
			}
		})
	}
}

// TestInstallAcceptsReadOnlyBinariesInAReadOnlyDirectory uses binaries with the mode of files in read-only node images.
func TestInstallAcceptsReadOnlyBinariesInAReadOnlyDirectory(t *testing.T) {
	h := newHost(t)
	h.mount("size=64m", syscall.MS_RDONLY, func(dir string) {
		for name, binary := range map[string]string{"calico": "v1", "calico-ipam": "v1", "portmap": "portmap"} {
			h.put(filepath.Join(dir, name), binary)
			_ = os.Chmod(h.path(filepath.Join(dir, name)), 0o555)
		}
	})
	h.mustInstall()
	if s, err := h.status(); err != nil {
		t.Errorf("status %+v, %v", s, err)
	}
}

func TestInstallWarnsIfBinariesCannotBeExecuted(t *testing.T) {
	h := newHost(t)
	h.mount("size=64m", syscall.MS_NOEXEC, func(string) {})
	h.mustInstall()
	h.checkTree(installed)
	if !strings.Contains(h.log.String(), "checksum alone") {
		t.Errorf("no warning:\n%s", h.log.String())
	}
}

func TestFullDiskErrorNamesTheRemedy(t *testing.T) {
	h := newHost(t)
	h.write("image/calico", string(built["v1"])+strings.Repeat("#", 128<<10))
	h.mount("size=64k", 0, func(string) {})
	if err := h.install(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free space") {
		t.Errorf("Run = %v; want ENOSPC and a remedy", err)
	}
	h.checkTree("")
}

// TestFullDiskKeepsTheOldBinaries upgrades a node whose file system is full.
func TestFullDiskKeepsTheOldBinaries(t *testing.T) {
	h := newHost(t)
	const dir = "host/opt/cni/bin/"
	h.mount("size=1m", 0, func(string) {
		h.put(dir+"calico", "v2")
		h.put(dir+"calico-ipam", "v2")
	})
	f, err := os.Create(h.path(dir + "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	_ = f.Close()
	if err := h.install(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Run = %v; want ENOSPC", err)
	}
	h.checkTree("-rw-r--r-- opt/cni/bin/ballast\n-rwxr-xr-x opt/cni/bin/calico v2\n" +
		"-rwxr-xr-x opt/cni/bin/calico-ipam v2\n")
	_ = os.Remove(h.path(dir + "ballast"))
	h.mustInstall()
	h.checkTree(installed)
}
