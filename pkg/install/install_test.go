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
	"calico-cni/internal/atomicfile"
)

func TestInstall(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	h.checkTree(installed)
	conf, err := os.ReadFile(h.path("host/etc/cni/net.d/10-calico.conflist"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"nodename": "worker-1"`, `"mtu": 1500`, `"kubeconfig": "/etc/cni/net.d/calico-kubeconfig"`} {
		if !strings.Contains(string(conf), want) {
			t.Errorf("network configuration lacks %s:\n%s", want, conf)
		}
	}
}

func TestTheSecondRunWritesNothing(t *testing.T) {
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

// inodes returns inode number and time of last change of everything on the host. Directories are among them: their
// times tell of temporaries, too.
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

// TestTheRuntimeSeesTheConfigurationLast takes the kernel's word for the order in which names appear.
func TestTheRuntimeSeesTheConfigurationLast(t *testing.T) {
	h := newHost(t)
	h.write("host/etc/cni/net.d/10-old.conflist", "{}")
	h.cfg.OldConfName = "10-old.conflist"
	events := h.watch("host/opt/cni/bin", "host/etc/cni/net.d")
	h.mustInstall()
	want := []string{"+calico", "+calico-ipam", "+portmap", "+calico-kubeconfig", "+10-calico.conflist", "-10-old.conflist"}
	if diff := cmp.Diff(want, events()); diff != "" {
		t.Errorf("names that appeared and went (-want +got):\n%s", diff)
	}
}

// watch returns what then lists the names that were renamed into place or removed, but for temporaries. One inotify
// instance keeps the order across directories (inotify(7)).
func (h *host) watch(dirs ...string) func() []string {
	h.t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, dir := range dirs {
		if _, err := syscall.InotifyAddWatch(fd, h.path(dir), syscall.IN_MOVED_TO|syscall.IN_DELETE|syscall.IN_CREATE); err != nil {
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

func TestAFailedStepKeepsTheOnesBehindItFromBegun(t *testing.T) {
	const binaries = "-rwxr-xr-x opt/cni/bin/calico v1\n-rwxr-xr-x opt/cni/bin/calico-ipam v1\n-rwxr-xr-x opt/cni/bin/portmap portmap\n"
	refused := errors.New("the API server refuses")
	for _, tt := range []struct {
		name   string
		before func(h *host)
		source tokens
		want   error
		tree   string
	}{
		{"no token", func(*host) {}, func() (string, error) { return "", refused }, refused, binaries},
		{"no certificate authority", func(h *host) { _ = os.Remove(h.path("sa/ca.crt")) }, issue, fs.ErrNotExist, binaries},
		{
			"kubeconfig is a directory", func(h *host) { _ = syscall.Mkfifo(h.path("host/etc/cni/net.d/calico-kubeconfig"), 0o600) }, issue, atomicfile.ErrNotRegular,
			"prw------- etc/cni/net.d/calico-kubeconfig\n" + binaries,
		},
		{
			"configuration is a directory", func(h *host) { _ = syscall.Mkfifo(h.path("host/etc/cni/net.d/10-calico.conflist"), 0o600) }, issue, atomicfile.ErrNotRegular,
			"prw------- etc/cni/net.d/10-calico.conflist\n-rw------- etc/cni/net.d/calico-kubeconfig\n" + binaries,
		},
		{"bad template", func(h *host) { h.cfg.NetworkConfig = `{"name": "__X__"}` }, issue, conflist.ErrInvalid, ""},
		{"template file is missing", func(h *host) { h.cfg.NetworkConfigFile = h.path("none") }, issue, ErrConfig, ""},
		{"configuration directory is not mounted", func(h *host) { _ = os.Remove(h.path("host/etc/cni/net.d")) }, issue, fs.ErrNotExist, ""},
		{"bad configuration", func(h *host) { h.cfg.MTU = -1 }, issue, ErrConfig, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			tt.before(h)
			old := h.path("host/etc/cni/net.d/10-old.conflist")
			h.cfg.OldConfName = filepath.Base(old)
			_ = os.WriteFile(old, nil, 0o600)
			if err := h.installWith(t.Context(), tt.source); !errors.Is(err, tt.want) {
				t.Errorf("Run = %v; want %v", err, tt.want)
			}
			if err := os.Remove(old); err != nil && tt.want != fs.ErrNotExist {
				t.Errorf("the old configuration went before the new one came: %v", err)
			}
			h.checkTree(tt.tree)
		})
	}
}

func TestTheOldConfigurationGoes(t *testing.T) {
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

func TestATemplateOfTheUsers(t *testing.T) {
	const template = `{"name": "mine", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, "n": "__KUBERNETES_NODE_NAME__", "t": "__SERVICEACCOUNT_TOKEN__", "k": "__KUBECONFIG_FILEPATH__"}]}`
	want := `{"name": "mine", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, "n": "worker-host", "t": "` + secret + `", "k": "/other/calico-kubeconfig"}]}`
	for name, set := range map[string]func(h *host){
		"text": func(h *host) { h.cfg.NetworkConfig = template },
		"file": func(h *host) {
			h.write("template", template)
			h.cfg.NetworkConfig, h.cfg.NetworkConfigFile = "the file goes first", h.path("template")
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

func TestNoSecretInLogsAndErrors(t *testing.T) {
	for name, before := range map[string]func(h *host){
		"success": func(*host) {},
		"token in a template": func(h *host) {
			h.cfg.NetworkConfig = `{"name": "net", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, "t": "__SERVICEACCOUNT_TOKEN__"}]}`
		},
		"token outside of quotes": func(h *host) {
			h.cfg.NetworkConfig = `{"name": "net", "plugins": [{"type": "calico", "t": __SERVICEACCOUNT_TOKEN__}]}`
		},
		"kubeconfig cannot be written":    func(h *host) { _ = os.Mkdir(h.path("host/etc/cni/net.d/calico-kubeconfig"), 0o755) },
		"configuration cannot be written": func(h *host) { _ = os.Mkdir(h.path("host/etc/cni/net.d/10-calico.conflist"), 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			before(h)
			if err := h.install(); err != nil {
				h.log.WriteString(err.Error())
			}
			if strings.Contains(h.log.String(), secret) {
				t.Errorf("the token shows:\n%s", h.log.String())
			}
		})
	}
}

func TestTemporariesOfAKilledRunGo(t *testing.T) {
	h := newHost(t)
	for _, name := range []string{"host/opt/cni/bin/.calico.7.atomicfile", "host/etc/cni/net.d/.calico-kubeconfig.7.atomicfile"} {
		h.write(name, "")
		if err := os.Chtimes(h.path(name), time.Now().Add(-time.Hour), time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	h.mustInstall()
	h.checkTree(installed)
}

func TestSleepLastsUntilTheSignal(t *testing.T) {
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
		t.Fatalf("Run came back before the signal: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run = %v after the signal", err)
	}
	h.checkTree(installed)
}

func TestASignalStopsBetweenSteps(t *testing.T) {
	h := newHost(t)
	ctx, stop := context.WithCancel(t.Context())
	err := h.installWith(ctx, func() (string, error) { stop(); return secret, nil })
	if !errors.Is(err, context.Canceled) || ExitCode(err) != ExitFailed {
		t.Errorf("Run = %v, exit code %d; want it interrupted", err, ExitCode(err))
	}
	if strings.Contains(h.tree(), "conflist") {
		t.Errorf("installation went on:\n%s", h.tree())
	}
}
