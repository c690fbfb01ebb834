// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/conflist"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/network"
)

const (
	theirs = "{\n  \"name\": \"theirs\", \"cniVersion\": \"0.4.0\", \"x\": 1.0,\n  \"plugins\": [\n" +
		"    {\"type\": \"tuning\", \"y\": []}\n  ]\n}\n"
	chainFile = "host/etc/cni/net.d/05-theirs.conflist"
)

// chaining has the host use a list of another program, into which install chains calico.
func chaining(h *host) {
	h.write(chainFile, theirs)
	h.cfg.ChainInto = "05-theirs.conflist"
	h.cfg.NetworkConfig = `{"name": "ours", "plugins": [{"type": "calico", "mtu": 1400, ` +
		`"ipam": {"type": "calico-ipam"}}, {"type": "portmap"}]}`
}

func TestChain(t *testing.T) {
	h := newHost(t)
	chaining(h)
	h.mustInstall()
	h.mustInstall()
	want := strings.Replace(theirs, `{"type": "tuning"`,
		`{"type": "calico", "mtu": 1400, "ipam": {"type": "calico-ipam"}},`+"\n    "+`{"type": "tuning"`, 1)
	h.checkText(chainFile, want)
	chained := strings.Replace(installed, "-rw------- etc/cni/net.d/10-calico.conflist",
		"-rw-r--r-- etc/cni/net.d/05-theirs.conflist", 1)
	h.checkTree(chained)

	h.cfg.NetworkConfig = strings.Replace(h.cfg.NetworkConfig, "1400", "1500", 1)
	h.mustInstall()
	h.checkText(chainFile, strings.Replace(want, "1400", "1500", 1))

	if err := h.uninstall(); err != nil {
		t.Errorf("uninstall = %v", err)
	}
	h.checkText(chainFile, theirs)
	h.checkTree("-rw-r--r-- etc/cni/net.d/05-theirs.conflist\n")
}

func TestInstallRemovesConfigurationsOfEarlierRuns(t *testing.T) {
	own := strings.Replace(installed, "10-calico.conflist", "20-calico.conflist", 1)
	const list = "-rw-r--r-- etc/cni/net.d/05-theirs.conflist\n"
	h := newHost(t)
	h.mustInstall()
	h.cfg.ConfName = "20-calico.conflist"
	h.mustInstall()
	h.checkTree(own)
	chaining(h)
	h.mustInstall()
	h.checkTree(strings.Replace(own, "-rw------- etc/cni/net.d/20-calico.conflist\n", list, 1))
	h.cfg.ChainInto = ""
	h.mustInstall()
	h.checkText(chainFile, theirs)
	h.checkTree(list + own)
	if err := h.uninstall(); err != nil {
		t.Errorf("uninstall = %v", err)
	}
	h.checkTree(list)
}

func (h *host) checkText(name, want string) {
	h.t.Helper()
	got, err := os.ReadFile(h.path(name))
	if err != nil {
		h.t.Error(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		h.t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestInstallContinuesAnInterruptedSwitchOfLists interrupts an installation when the new list has our plugin and the
// old one still has it: the old list cannot be read at that time.
func TestInstallContinuesAnInterruptedSwitchOfLists(t *testing.T) {
	const second, third = "host/etc/cni/net.d/06-theirs.conflist", "host/etc/cni/net.d/07-theirs.conflist"
	for name, after := range map[string]func(h *host) error{
		"installing again": func(h *host) error { return h.install() },
		"back to the old":  func(h *host) error { h.cfg.ChainInto = "05-theirs.conflist"; return h.install() },
		"on to a third":    func(h *host) error { h.cfg.ChainInto = "07-theirs.conflist"; return h.install() },
		"without a chain":  func(h *host) error { h.cfg.ChainInto = ""; return h.install() },
		"uninstalling":     func(h *host) error { return h.uninstall() },
		"another, then a third": func(h *host) error {
			_ = h.install()
			h.cfg.ChainInto = "07-theirs.conflist"
			return h.install()
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			chaining(h)
			h.write(second, theirs)
			h.write(third, theirs)
			h.mustInstall()
			chained, err := os.ReadFile(h.path(chainFile))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Remove(h.path(chainFile)), os.Mkdir(h.path(chainFile), 0o755)); err != nil {
				t.Fatal(err)
			}
			h.cfg.ChainInto = "06-theirs.conflist"
			if err := h.install(); !errors.Is(err, safeopen.ErrNotRegular) {
				t.Fatalf("install = %v", err)
			}
			if err := os.Remove(h.path(chainFile)); err != nil {
				t.Fatal(err)
			}
			h.write(chainFile, string(chained))
			if err := after(h); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{chainFile, second, third} {
				data, err := os.ReadFile(h.path(file))
				ours := strings.HasSuffix(file, "/"+h.cfg.ChainInto) && name != "uninstalling"
				if err != nil || strings.Contains(string(data), `"calico"`) != ours || !ours && string(data) != theirs {
					t.Errorf("%s: want our plugin: %v\n%s", file, ours, data)
				}
			}
		})
	}
}

func TestWatchChainsAgain(t *testing.T) {
	w := newWatched(t, chaining)
	w.look()
	other := strings.Replace(theirs, "tuning", "bandwidth", 1)
	w.write(chainFile, other)
	w.look()
	data, err := os.ReadFile(w.path(chainFile))
	if err != nil || !strings.Contains(string(data), `"calico"`) || !strings.Contains(string(data), "bandwidth") {
		t.Errorf("the list is %s, %v; want calico before bandwidth", data, err)
	}
	if rest, _, _ := conflist.Unchain(data, "calico"); string(rest) != other {
		t.Errorf("without calico the list is %s; want %s", rest, other)
	}
}

func TestChainRefusesBeforeItWrites(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(h *host)
		want error
	}{
		{"no list", func(h *host) { _ = os.Remove(h.path(chainFile)) }, fs.ErrNotExist},
		{"not JSON", func(h *host) { h.write(chainFile, "{") }, network.ErrForeignList},
		{"a single plugin", func(h *host) { h.write(chainFile, `{"name": "n", "type": "x"}`) }, network.ErrForeignList},
		{"a list without name", func(h *host) { h.write(chainFile, `{"plugins": [{"type": "x"}]}`) }, network.ErrForeignList},
		{"a link to a list", func(h *host) {
			_ = os.Rename(h.path(chainFile), h.path("list"))
			_ = os.Symlink(h.path("list"), h.path(chainFile))
		}, safeopen.ErrNotRegular},
		{
			"a version that the plugins do not support",
			func(h *host) { h.write(chainFile, strings.Replace(theirs, "0.4.0", "2.0.0", 1)) }, fault.ErrConfig,
		},
		{
			"a template without calico",
			func(h *host) { h.cfg.NetworkConfig = `{"name": "n", "plugins": [{"type": "bridge"}]}` }, fault.ErrConfig,
		},
		{"not a list by its name", func(h *host) { h.cfg.ChainInto = "05-theirs.conf" }, fault.ErrConfig},
		{"a path", func(h *host) { h.cfg.ChainInto = "../05-theirs.conflist" }, fault.ErrConfig},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			chaining(h)
			tt.set(h)
			before := h.tree()
			if err := h.install(); !errors.Is(err, tt.want) {
				t.Errorf("Run = %v; want %v", err, tt.want)
			}
			h.checkTree(before)
		})
	}
}

func TestExclusiveMovesOthersAsideAndUninstallRestoresThem(t *testing.T) {
	const (
		before = "-rw-r--r-- etc/cni/net.d/05-rival.conflist\n-rw-r--r-- etc/cni/net.d/87-bridge.conf\n" +
			"-rw-r--r-- etc/cni/net.d/README\n"
		aside = "-rw-r--r-- etc/cni/net.d/05-rival.conflist.calico-cni-disabled\n"
	)
	w := newWatched(t, func(h *host) {
		h.cfg.Exclusive = true
		h.write("host/etc/cni/net.d/05-rival.conflist", theirs)
		h.write("host/etc/cni/net.d/87-bridge.conf", `{"name": "b", "type": "bridge"}`)
		h.write("host/etc/cni/net.d/README", "")
	})
	w.look()
	conf, rest, _ := strings.Cut(installed, "-rw------- etc/cni/net.d/calico")
	want := aside + conf + "-rw-r--r-- etc/cni/net.d/87-bridge.conf.calico-cni-disabled\n" +
		"-rw-r--r-- etc/cni/net.d/README\n-rw------- etc/cni/net.d/calico" + rest
	w.checkTree(want)
	w.write("host/etc/cni/net.d/06-again.conf", `{"name": "b", "type": "bridge"}`)
	w.look()
	w.checkTree(strings.Replace(want, aside, aside+"-rw-r--r-- etc/cni/net.d/06-again.conf.calico-cni-disabled\n", 1))
	if err := w.host.uninstall(); err != nil {
		t.Errorf("uninstall = %v", err)
	}
	w.checkTree(strings.Replace(before, "-rw-r--r-- etc/cni/net.d/87",
		"-rw-r--r-- etc/cni/net.d/06-again.conf\n-rw-r--r-- etc/cni/net.d/87", 1))
	w.checkText("host/etc/cni/net.d/05-rival.conflist", theirs)
}

func TestUninstallDoesNotOverwriteARestoredName(t *testing.T) {
	h := newHost(t)
	h.cfg.Exclusive = true
	h.write("host/etc/cni/net.d/87-bridge.conf", "old")
	h.mustInstall()
	h.write("host/etc/cni/net.d/87-bridge.conf", "new")
	if err := h.uninstall(); !errors.Is(err, fault.ErrDiffers) ||
		!strings.Contains(err.Error(), "whose old name is taken") {
		t.Errorf("uninstall = %v", err)
	}
	h.checkText("host/etc/cni/net.d/87-bridge.conf", "new")
	h.checkText("host/etc/cni/net.d/87-bridge.conf"+network.AsideSuffix, "old")
}

// TestExclusiveIsTheLastStep checks that the runtime always has a configuration.
func TestExclusiveIsTheLastStep(t *testing.T) {
	h := newHost(t)
	h.cfg.Exclusive = true
	h.write("host/etc/cni/net.d/05-rival.conflist", theirs)
	h.cfg.NetworkConfig = `{"name": "__X__"}`
	if err := h.install(); err == nil {
		t.Fatal("want an error")
	}
	h.checkTree("-rw-r--r-- etc/cni/net.d/05-rival.conflist\n")
}

func TestNodeFilesLeaveThoseOfAnAgent(t *testing.T) {
	const dir = "host/var/lib/calico/"
	for _, tt := range []struct {
		name          string
		set           func(h *host)
		nodename, mtu string
	}{
		{"none", func(*host) {}, "worker-1", "1500"},
		{"MTU of the link", func(h *host) { h.cfg.MTU = 0 }, "worker-1", "9000"},
		{"an agent's", func(h *host) { h.write(dir+"nodename", "agents"); h.write(dir+"mtu", "1450") }, "agents", "1450"},
		{"an agent's one", func(h *host) { h.write(dir+"mtu", "1450\n") }, "worker-1", "1450\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatched(t, func(h *host) {
				_ = os.MkdirAll(h.path(dir), 0o755)
				h.cfg.NodeFiles = true
				tt.set(h)
			})
			w.look()
			w.look()
			w.checkText(dir+"nodename", tt.nodename)
			w.checkText(dir+"mtu", tt.mtu)
			theirs := tt.nodename == "agents"
			_ = os.Remove(w.path(dir + "nodename"))
			w.look()
			w.checkText(dir+"nodename", "worker-1")
			w.write(dir+"nodename", "an agent came")
			w.look()
			w.checkText(dir+"nodename", "an agent came")
			err := w.host.uninstall()
			if !errors.Is(err, fault.ErrDiffers) || theirs && strings.Contains(err.Error(), "mtu") {
				t.Errorf("uninstall = %v; want it to leave nodename", err)
			}
			w.checkText(dir+"nodename", "an agent came")
			if _, err := os.Stat(w.path(dir + "mtu")); (err == nil) != (tt.mtu[:4] == "1450") {
				t.Errorf("mtu %s after uninstalling: %v", tt.mtu, err)
			}
		})
	}
}

func TestNodeFilesFollowTheConfiguration(t *testing.T) {
	h := newHost(t)
	_ = os.MkdirAll(h.path("host/var/lib/calico"), 0o755)
	h.cfg.NodeFiles = true
	h.mustInstall()
	h.cfg.MTU = 1400
	h.mustInstall()
	h.checkText("host/var/lib/calico/mtu", "1400")
	_ = os.RemoveAll(h.path("host/var"))
	if err := h.install(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "/var/lib/calico") {
		t.Errorf("Run = %v; want it to name the mount", err)
	}
}

func TestOldConfigurationIsNotTheChainedList(t *testing.T) {
	h := newHost(t)
	chaining(h)
	h.cfg.OldConfName = h.cfg.ChainInto
	h.mustInstall()
	if _, err := os.Stat(h.path(chainFile)); err != nil {
		t.Error(err)
	}
}

func TestInstallRemovesTheOldConfigurationWhenChained(t *testing.T) {
	w := newWatched(t, func(h *host) {
		chaining(h)
		h.write("host/etc/cni/net.d/10-calico.conflist",
			`{"cniVersion": "1.0.0", "name": "was", "plugins": [{"type": "calico"}]}`)
		h.cfg.OldConfName = "10-calico.conflist"
	})
	w.look()
	w.look()
	if strings.Contains(w.tree(), "10-calico") {
		t.Error(w.tree())
	}
}

// TestWatchRetriesAnIncompleteList simulates an owner that has written only a part of the list.
func TestWatchRetriesAnIncompleteList(t *testing.T) {
	w := newWatched(t, chaining)
	w.write(chainFile, theirs[:20])
	if err := w.Round(t.Context()); ExitCode(err) != ExitFailed {
		t.Errorf("round = %v, exit code %d", err, ExitCode(err))
	}
	w.write(chainFile, theirs)
	w.clock = w.clock.Add(time.Minute)
	w.look()
}
