// SPDX-License-Identifier: Apache-2.0

package install

import (
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/install/apigroup"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/record"
)

// verb runs the command with a changed configuration, such as another verb.
func (h *host) verb(change func(c *config.Config)) error {
	before := h.cfg
	defer func() { h.cfg = before }()
	change(&h.cfg)
	h.out.Reset()
	return h.install()
}

func (h *host) uninstall() error {
	h.t.Helper()
	return h.verb(func(c *config.Config) { c.Verb = config.VerbUninstall })
}

func TestUninstall(t *testing.T) {
	const others = "-rw-r--r-- etc/cni/net.d/99-loopback.conf\n-rw-r--r-- opt/cni/bin/bridge\n" +
		"-rwxr-xr-x opt/cni/bin/portmap portmap\n"
	h := newHost(t)
	h.write("host/etc/cni/net.d/99-loopback.conf", `{"name": "lo", "type": "loopback"}`)
	h.write("host/opt/cni/bin/bridge", "of another program")
	h.put("host/opt/cni/bin/portmap", "portmap")
	h.checkTree(others)
	h.mustInstall()
	h.mustInstall()
	h.write("host/opt/cni/bin/.calico.7.atomicfile", "of a killed installer")
	if err := h.uninstall(); err != nil {
		t.Errorf("uninstall = %v", err)
	}
	h.checkTree(others)
	if _, err := os.Stat(h.path("host/etc/cni/net.d/" + record.Name)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("record: %v; want none", err)
	}
	if err := h.uninstall(); err != nil {
		t.Errorf("uninstall again = %v", err)
	}
	h.checkTree(others)
}

func TestUninstallNeedsNoAPIServerAndNoImage(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	_ = os.RemoveAll(h.path("image"))
	_ = os.RemoveAll(h.path("sa"))
	h.cfg.ServiceHost = ""
	if err := h.uninstall(); err != nil {
		t.Errorf("uninstall = %v", err)
	}
	h.checkTree("")
}

func TestUninstallRemovesTheConfigurationFirst(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	events := h.watch("host/opt/cni/bin", "host/etc/cni/net.d")
	if err := h.uninstall(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(events(), " "); got != "-10-calico.conflist -calico-kubeconfig -calico -calico-ipam -portmap" {
		t.Errorf("removed %s", got)
	}
}

func TestUninstallLeavesChangedFiles(t *testing.T) {
	const (
		conf   = "-rw------- etc/cni/net.d/10-calico.conflist\n"
		config = conf + "-rw------- etc/cni/net.d/calico-kubeconfig\n"
	)
	for _, tt := range []struct {
		name   string
		change func(h *host)
		tree   string
		says   []string
	}{
		{
			"binary", func(h *host) { h.put("host/opt/cni/bin/calico", "v2") }, "-rwxr-xr-x opt/cni/bin/calico v2\n",
			[]string{"opt/cni/bin/calico, which another program changed"},
		},
		{"binary made a link", func(h *host) {
			_ = os.Remove(h.path("host/opt/cni/bin/calico"))
			_ = os.Symlink("calico-ipam", h.path("host/opt/cni/bin/calico"))
		}, "Lrwxrwxrwx opt/cni/bin/calico\n", []string{"opt/cni/bin/calico"}},
		{
			"kubeconfig", func(h *host) { h.append("host/etc/cni/net.d/calico-kubeconfig", "# mine\n") },
			strings.TrimPrefix(config, conf),
			[]string{"calico-kubeconfig, which another program changed"},
		},
		{"configuration that still uses calico", func(h *host) {
			h.append("host/etc/cni/net.d/10-calico.conflist",
				" ")
		}, installed, []string{
			"10-calico.conflist, which another program changed", "binaries and kubeconfig, which",
		}},
		{"configuration that no longer uses calico", func(h *host) {
			_ = os.WriteFile(h.path("host/etc/cni/net.d/10-calico.conflist"),
				[]byte(`{"name": "n", "plugins": [{"type": "bridge"}]}`), 0o600)
		}, conf, []string{"10-calico.conflist, which another program changed", "network \"n\" of plugins bridge"}},
		{"another configuration that uses calico-ipam", func(h *host) {
			h.write("host/etc/cni/net.d/20-mine.conf", `{"name": "n", "type": "bridge", "ipam": {"type": "calico-ipam"}}`)
		}, strings.Replace(installed, conf, "-rw-r--r-- etc/cni/net.d/20-mine.conf\n", 1), []string{"20-mine.conf uses"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			h.mustInstall()
			tt.change(h)
			err := h.uninstall()
			if !errors.Is(err, fault.ErrDiffers) || ExitCode(err) != 3 {
				t.Fatalf("uninstall = %v, exit code %d; want fault.ErrDiffers", err, ExitCode(err))
			}
			for _, says := range tt.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("error lacks %s: %v", says, err)
				}
			}
			h.checkTree(tt.tree)
		})
	}
}

func (h *host) append(name, text string) {
	h.t.Helper()
	data, err := os.ReadFile(h.path(name))
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(h.path(name), append(data, text...), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// TestUninstallAfterAKilledInstallation interrupts an upgrade before each file.
func TestUninstallAfterAKilledInstallation(t *testing.T) {
	for _, upgraded := range []string{"", "calico", "calico calico-ipam"} {
		h := newHost(t)
		h.mustInstall()
		r := record.New(h.path("host"), h.path("host/etc/cni/net.d"), slog.New(slog.DiscardHandler))
		r.Load()
		sums := map[string][32]byte{}
		for _, name := range []string{"calico", "calico-ipam"} {
			sums[h.path("host/opt/cni/bin/"+name)] = sha256.Sum256(built["v2"])
		}
		if err := r.EnterBinaries(sums); err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(upgraded) {
			h.put("host/opt/cni/bin/"+name, "v2")
		}
		if err := h.uninstall(); err != nil {
			t.Errorf("uninstall after %q was written = %v", upgraded, err)
		}
		h.checkTree("")
	}
}

func TestUninstallWithoutAReadableRecordRemovesNothing(t *testing.T) {
	for _, text := range []string{"", "{", `{"files": null}`, `[]`, `{"files": {"opt/cni/bin/calico": ["00"]}}`} {
		h := newHost(t)
		h.mustInstall()
		_ = os.WriteFile(h.path("host/etc/cni/net.d/"+record.Name), []byte(text), 0o600)
		if err := h.uninstall(); !errors.Is(err, fault.ErrDiffers) {
			t.Errorf("uninstall with the record %s = %v; want fault.ErrDiffers", text, err)
		}
		h.checkTree(installed)
	}
}

func TestDryUninstall(t *testing.T) {
	h := newHost(t)
	h.write("host/etc/cni/net.d/05-rival.conf", `{"name": "r", "type": "bridge"}`)
	h.cfg.Exclusive = true
	h.mustInstall()
	before := h.tree()
	if err := h.verb(func(c *config.Config) { c.Verb, c.DryRun = config.VerbUninstall, true }); err != nil {
		t.Errorf("uninstall = %v", err)
	}
	h.checkTree(before)
	for _, want := range []string{
		"restored: ", "05-rival.conf\n", "removed: ", "opt/cni/bin/calico\n", "calico-kubeconfig\n",
	} {
		if !strings.Contains(h.out.String(), want) {
			t.Errorf("output lacks %s:\n%s", want, h.out.String())
		}
	}
}

func TestUninstallLeavesPluginsThatAMetaPluginUses(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	h.write("host/etc/cni/net.d/00-multus.conf", `{"cniVersion": "0.3.1", "name": "multus", "type": "multus",
		"delegates": [{"cniVersion": "1.0.0", "name": "k8s-pod-network",
			"plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}}]}]}`)
	err := h.uninstall()
	if !errors.Is(err, fault.ErrDiffers) || !strings.Contains(h.tree(), "bin/calico v1") ||
		!strings.Contains(h.tree(), "calico-kubeconfig") {
		t.Errorf("uninstall = %v\n%s", err, h.tree())
	}
}

// TestUninstallLeavesFilesInAnUnmountedDirectory uninstalls in a pod that lacks a mount of the pod that installed.
func TestUninstallLeavesFilesInAnUnmountedDirectory(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	bin, away := h.path("host/opt/cni/bin"), h.path("bin")
	if err := os.Rename(bin, away); err != nil {
		t.Fatal(err)
	}
	if err := h.uninstall(); !errors.Is(err, fault.ErrDiffers) ||
		!strings.Contains(err.Error(), "opt/cni/bin/calico, whose directory is not mounted") {
		t.Errorf("uninstall = %v", err)
	}
	h.checkTree("")
	if err := os.Rename(away, bin); err != nil {
		t.Fatal(err)
	}
	if err := h.uninstall(); err != nil {
		t.Errorf("uninstall with the mount = %v", err)
	}
	h.checkTree("")
}

func TestUninstallReportsQueuedReleases(t *testing.T) {
	for _, tt := range []struct {
		name    string
		queue   queue
		dry     bool
		left    string
		attempt int
	}{
		{"none", queue{}, false, "", 0},
		{"all are settled", queue{waiting: 3, settles: 3}, false, "", 1},
		{"some stay", queue{waiting: 3, settles: 1}, false, "left 2 releases of addresses", 1},
		{
			"API server unavailable",
			queue{waiting: 3, err: errors.New("API server unavailable")},
			false,
			"left 3 releases of addresses", 1,
		},
		{"dry run", queue{waiting: 3, settles: 3}, true, "left 3 releases of addresses", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			h.served.groups = apigroup.Served{V3: true}
			h.mustInstall()
			if err := os.MkdirAll(h.path("host/var/lib/calico"), 0o755); err != nil {
				t.Fatal(err)
			}
			cfg := h.cfg
			cfg.Verb, cfg.DryRun = config.VerbUninstall, tt.dry
			h.backlog = &tt.queue
			deps := h.deps(tokens(issue), time.Now)
			err := Run(t.Context(), cfg, deps)
			if group := deps.Group.Group(); group != config.V3Group {
				t.Errorf("releases are settled in the group %s", group)
			}
			if (err == nil) != (tt.left == "") || err != nil &&
				(!errors.Is(err, fault.ErrDiffers) || !strings.Contains(err.Error(), tt.left)) {
				t.Errorf("uninstall = %v; want %q", err, tt.left)
			}
			if tt.queue.attempts != tt.attempt {
				t.Errorf("%d attempts to settle, want %d", tt.queue.attempts, tt.attempt)
			}
			if tt.queue.err != nil && !strings.Contains(err.Error(), tt.queue.err.Error()) {
				t.Errorf("%v does not name the reason", err)
			}
			if !tt.dry {
				h.checkTree("")
			}
		})
	}
}

func TestUninstallNamesTheStateDirectories(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	if err := h.uninstall(); err != nil || !strings.Contains(h.log.String(),
		"/var/lib/calico, /var/run/calico, /var/log/calico") {
		t.Errorf("uninstall = %v\n%s", err, h.log.String())
	}
}
