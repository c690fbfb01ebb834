// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	endian "encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/conflist"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/binaries"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/record"
	"calico-cni/pkg/kube"
)

func TestInstall(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	h.checkTree(installed)
	conf, err := os.ReadFile(h.path("host/etc/cni/net.d/10-calico.conflist"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"nodename": "worker-1"`, `"mtu": 1500`, `"kubeconfig": ` +
		`"/etc/cni/net.d/calico-kubeconfig"`} {
		if !strings.Contains(string(conf), want) {
			t.Errorf("network configuration lacks %s:\n%s", want, conf)
		}
	}
}

func TestInstallAgainWritesNothing(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	before := h.inodes()
	h.mustInstall()
	if diff := cmp.Diff(before, h.inodes()); diff != "" {
		t.Errorf("inodes and times of the host's files and directories (-first +second):\n%s", diff)
	}
}

type inode struct {
	Number uint64
	Change time.Time
}

// inodes returns inode number and time of last change of all files and directories on the host. The times of
// directories also reveal temporary files.
func (h *host) inodes() map[string]inode {
	h.t.Helper()
	got := map[string]inode{}
	err := filepath.WalkDir(h.path("host"), func(path string, _ fs.DirEntry, err error) error {
		var s syscall.Stat_t
		if err == nil {
			err = syscall.Stat(path, &s)
		}
		got[path] = inode{s.Ino, time.Unix(s.Ctim.Sec, s.Ctim.Nsec)}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return got
}

// TestInstallWritesTheConfigurationLast compares the order of inotify events.
func TestInstallWritesTheConfigurationLast(t *testing.T) {
	h := newHost(t)
	h.write("host/etc/cni/net.d/10-old.conflist", "{}")
	h.cfg.OldConfName = "10-old.conflist"
	events := h.watch("host/opt/cni/bin", "host/etc/cni/net.d")
	h.mustInstall()
	want := []string{
		"+calico", "+calico-ipam", "+portmap", "+calico-kubeconfig", "+10-calico.conflist", "-10-old.conflist",
	}
	if diff := cmp.Diff(want, events()); diff != "" {
		t.Errorf("names that appeared and disappeared (-want +got):\n%s", diff)
	}
}

// watch returns a function that lists the names that were renamed into place or removed since, without temporary files.
// One inotify instance keeps the order across directories (inotify(7)).
func (h *host) watch(dirs ...string) func() []string {
	h.t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, dir := range dirs {
		if _, err := syscall.InotifyAddWatch(fd, h.path(dir),
			syscall.IN_MOVED_TO|syscall.IN_DELETE|syscall.IN_CREATE); err != nil {
			h.t.Fatal(err)
		}
	}
	return func() []string {
		defer func() { _ = syscall.Close(fd) }()
		buf := make([]byte, 64<<10)
		n, err := syscall.Read(fd, buf)
		if err != nil {
			h.t.Fatal(err)
		}
		var names []string
		for buf = buf[:n]; len(buf) > 0; {
			mask, length := endian.NativeEndian.Uint32(buf[4:]), endian.NativeEndian.Uint32(buf[12:])
			name := strings.TrimRight(string(buf[16:16+length]), "\x00")
			if sign := map[bool]string{true: "-", false: "+"}[mask&syscall.IN_DELETE != 0]; !strings.HasPrefix(name, ".") {
				names = append(names, sign+name)
			}
			buf = buf[16+length:]
		}
		return names
	}
}

// TestInstallRefusesBeforeItWrites simulates a node with older binaries, a configuration and a kubeconfig, which must
// not change.
func TestInstallRefusesBeforeItWrites(t *testing.T) {
	refused := errors.New("the API server refuses")
	const other = `{"name": "net", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, ` +
		`"kubernetes": {"kubeconfig": "/etc/cni/net.d/other"}}]}`
	for _, tt := range []struct {
		name   string
		before func(h *host)
		source tokens
		want   error
	}{
		{"no token", func(*host) {}, func() (string, error) { return "", refused }, refused},
		{"empty token", func(*host) {}, func() (string, error) { return "", nil }, nil},
		{"no certificate authority", func(h *host) { _ = os.Remove(h.path("sa/ca.crt")) }, issue, fs.ErrNotExist},
		{"API server that the plugins cannot use", func(h *host) { h.cfg.ServiceHost = "a|b" }, issue, fault.ErrConfig},
		{
			"kubeconfig is a pipe",
			func(h *host) { h.pipe("host/etc/cni/net.d/calico-kubeconfig") }, issue, safeopen.ErrNotRegular,
		},
		{
			"configuration is a pipe",
			func(h *host) { h.pipe("host/etc/cni/net.d/10-calico.conflist") }, issue, safeopen.ErrNotRegular,
		},
		{"binary is a pipe", func(h *host) { h.pipe("host/opt/cni/bin/calico-ipam") }, issue, safeopen.ErrNotRegular},
		{"second binary does not run", func(h *host) { h.put("image/calico-ipam", "failing") }, issue, binaries.ErrBad},
		{"bad template", func(h *host) { h.cfg.NetworkConfig = `{"name": "__X__"}` }, issue, conflist.ErrInvalid},
		{"template file is missing", func(h *host) { h.cfg.NetworkConfigFile = h.path("none") }, issue, fault.ErrConfig},
		{"bad configuration", func(h *host) { h.cfg.MTU = -1 }, issue, fault.ErrConfig},
		{"node files without a mount", func(h *host) { h.cfg.NodeFiles = true }, issue, fs.ErrNotExist},
		{
			"kubeconfig of the template is invalid",
			func(h *host) {
				h.cfg.NetworkConfig = other
				h.write("host/etc/cni/net.d/other",
					"kind: Pod")
			}, issue, kube.ErrKubeconfig,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			h.put("host/opt/cni/bin/calico", "v2")
			h.write("host/etc/cni/net.d/10-old.conflist", "{}")
			h.cfg.OldConfName = "10-old.conflist"
			tt.before(h)
			before := h.tree()
			if err := h.installWith(t.Context(), tt.source); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Run = %v; want %v", err, tt.want)
			}
			h.checkTree(before)
			if _, err := os.Lstat(h.path("host/etc/cni/net.d/" + record.Name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the record is written: %v", err)
			}
		})
	}
}

func (h *host) pipe(name string) {
	h.t.Helper()
	_ = os.Remove(h.path(name))
	if err := syscall.Mkfifo(h.path(name), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// TestTemplateMayNameKubeconfigThatIsNotMounted installs although the kubeconfig is not mounted, or names files of the
// host.
func TestTemplateMayNameKubeconfigThatIsNotMounted(t *testing.T) {
	for name, text := range map[string]string{
		"not mounted": "",
		"names files of the host": `{"kind": "Config", "apiVersion": "v1", "current-context": "c",
			"contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
			"clusters": [{"name": "k", "cluster": {"server": "https://h", "certificate-authority": "/etc/kubernetes/none.crt"}}],
			"users": [{"name": "u", "user": {"token": "T"}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.cfg.NetworkConfig = `{"name": "net", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, ` +
				`"kubernetes": {"kubeconfig": "/etc/cni/net.d/other"}}]}`
			if text != "" {
				h.write("host/etc/cni/net.d/other", text)
			}
			h.mustInstall()
			if warned := strings.Contains(h.log.String(), "cannot be checked"); warned != (text == "") {
				t.Errorf("log:\n%s", h.log.String())
			}
		})
	}
}

func TestInstallStopsAtAFailedStep(t *testing.T) {
	h := newHost(t)
	h.write("host/etc/cni/net.d/10-old.conflist", "{}")
	h.cfg.OldConfName = "10-old.conflist"
	// The FIFO appears after the checks.
	err := h.installWith(t.Context(), func() (string, error) {
		h.pipe("host/etc/cni/net.d/10-calico.conflist")
		return secret, nil
	})
	if !errors.Is(err, safeopen.ErrNotRegular) {
		t.Errorf("Run = %v", err)
	}
	h.checkTree("prw------- etc/cni/net.d/10-calico.conflist\n-rw-r--r-- etc/cni/net.d/10-old.conflist\n" +
		"-rw------- etc/cni/net.d/calico-kubeconfig\n" +
		"-rwxr-xr-x opt/cni/bin/calico v1\n-rwxr-xr-x opt/cni/bin/calico-ipam v1\n-rwxr-xr-x opt/cni/bin/portmap portmap\n")
}

func TestInstallNamesAMissingConfigurationDirectory(t *testing.T) {
	h := newHost(t)
	_ = os.Remove(h.path("host/etc/cni/net.d"))
	if err := h.install(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "/etc/cni/net.d") {
		t.Errorf("Run = %v", err)
	}
	h.checkTree("")
}

// TestInstallRemovesTheFileOfCalicoByDefault installs under another name beside a list that Calico wrote.
func TestInstallRemovesTheFileOfCalicoByDefault(t *testing.T) {
	for chainInto, removed := range map[string]bool{"": true, "20-other.conflist": false} {
		h := newHost(t)
		h.write("host/etc/cni/net.d/10-calico.conflist", "{}")
		h.write("host/etc/cni/net.d/20-other.conflist",
			`{"cniVersion": "1.0.0", "name": "other", "plugins": [{"type": "ptp"}]}`)
		h.cfg.ConfName, h.cfg.ChainInto = "15-calico.conflist", chainInto
		h.mustInstall()
		if gone := !strings.Contains(h.tree(), "10-calico.conflist"); gone != removed {
			t.Errorf("chained into %q: removed %t, want %t:\n%s", chainInto, gone, removed, h.tree())
		}
	}
}

func TestInstallRemovesTheOldConfiguration(t *testing.T) {
	h := newHost(t)
	h.write("host/etc/cni/net.d/10-old.conf", "{}")
	h.cfg.OldConfName = "10-old.conf"
	h.mustInstall()
	h.checkTree(installed)
	h.mustInstall()
	h.cfg.OldConfName = h.cfg.ConfName
	h.mustInstall()
	h.checkTree(installed)
}

func TestTemplate(t *testing.T) {
	const template = `{"name": "mine", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, ` +
		`"n": "__KUBERNETES_NODE_NAME__", "t": "__SERVICEACCOUNT_TOKEN__", "k": "__KUBECONFIG_FILEPATH__"}]}`
	want := `{"name": "mine", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, ` +
		`"n": "worker-host", "t": "` + secret + `", "k": "/other/calico-kubeconfig"}]}`
	for name, set := range map[string]func(h *host){
		"text": func(h *host) { h.cfg.NetworkConfig = template },
		"file": func(h *host) {
			h.write("template", template)
			h.cfg.NetworkConfig, h.cfg.NetworkConfigFile = "the file takes precedence", h.path("template")
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			set(h)
			h.cfg.NodeName, h.cfg.NetDir = "", "/other"
			h.mustInstall()
			got, err := os.ReadFile(h.path("host/etc/cni/net.d/10-calico.conflist"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("network configuration (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogsAndErrorsContainNoSecret(t *testing.T) {
	for name, before := range map[string]func(h *host){
		"success": func(*host) {},
		"token in a template": func(h *host) {
			h.cfg.NetworkConfig = `{"name": "net", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, ` +
				`"t": "__SERVICEACCOUNT_TOKEN__"}]}`
		},
		"token outside of quotes": func(h *host) {
			h.cfg.NetworkConfig = `{"name": "net", "plugins": [{"type": "calico", "t": __SERVICEACCOUNT_TOKEN__}]}`
		},
		"kubeconfig cannot be written": func(h *host) {
			_ = os.Mkdir(h.path("host/etc/cni/net.d/calico-kubeconfig"),
				0o755)
		},
		"configuration cannot be written": func(h *host) {
			_ = os.Mkdir(h.path("host/etc/cni/net.d/10-calico.conflist"),
				0o755)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			before(h)
			if err := h.install(); err != nil {
				h.log.WriteString(err.Error())
			}
			if strings.Contains(h.log.String(), secret) {
				t.Errorf("the log contains the token:\n%s", h.log.String())
			}
		})
	}
}

func TestInstallRemovesStaleTemporaryFiles(t *testing.T) {
	h := newHost(t)
	for _, name := range []string{
		"host/opt/cni/bin/.calico.7.atomicfile", "host/etc/cni/net.d/.calico-kubeconfig.7.atomicfile",
	} {
		h.write(name, "")
		if err := os.Chtimes(h.path(name), time.Now().Add(-time.Hour), time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	h.mustInstall()
	h.checkTree(installed)
}

func TestSleepEndsWithTheSignal(t *testing.T) {
	h := newHost(t)
	h.cfg.Sleep = true
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	asked := make(chan struct{})
	go func() { done <- h.installWith(ctx, func() (string, error) { close(asked); return secret, nil }) }()
	<-asked
	for _, err := os.Stat(h.path("host/etc/cni/net.d/10-calico.conflist")); err != nil; {
		_, err = os.Stat(h.path("host/etc/cni/net.d/10-calico.conflist"))
	}
	select {
	case err := <-done:
		t.Fatalf("Run returned before the signal: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run = %v after the signal", err)
	}
	h.checkTree(installed)
}

func TestSignalStopsInstallBetweenSteps(t *testing.T) {
	h := newHost(t)
	ctx, stop := context.WithCancel(t.Context())
	err := h.installWith(ctx, func() (string, error) { stop(); return secret, nil })
	if !errors.Is(err, context.Canceled) || ExitCode(err) != ExitFailed {
		t.Errorf("Run = %v, exit code %d; want an interruption", err, ExitCode(err))
	}
	if strings.Contains(h.tree(), "conflist") {
		t.Errorf("the installation continued:\n%s", h.tree())
	}
}
