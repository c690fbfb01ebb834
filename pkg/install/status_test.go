// SPDX-License-Identifier: Apache-2.0

package install

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/hostfile"

	"github.com/google/go-cmp/cmp"
)

func (h *host) status() (Status, error) {
	h.t.Helper()
	err := h.verb(func(c *config.Config) { c.Verb, c.Output = config.VerbStatus, "json" })
	var s Status
	if e := json.Unmarshal(h.out.Bytes(), &s); e != nil {
		h.t.Fatalf("status is no JSON: %v (%v)", e, err)
	}
	return s, err
}

func TestStatus(t *testing.T) {
	h := newHost(t)
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	token := jwt(time.Now(), expires)
	if err := h.installWith(t.Context(), func() (string, error) { return token, nil }); err != nil {
		t.Fatal(err)
	}
	s, err := h.status()
	if err != nil {
		t.Errorf("status = %v", err)
	}
	if s.InstalledVersion == "" || len(s.Binaries) != 3 || s.Binaries[0].SHA256 != s.Binaries[0].Want ||
		!s.Binaries[0].Installed {
		t.Errorf("status: %+v", s)
	}
	if s.Kubeconfig.Expires == nil || !s.Kubeconfig.Expires.Equal(expires) {
		t.Errorf("token expires %v; want %v", s.Kubeconfig.Expires, expires)
	}
	if diff := cmp.Diff([]string{"calico", "calico-ipam", "portmap"}, s.Network.Plugins); diff != "" {
		t.Errorf("plugins (-want +got):\n%s", diff)
	}
	if strings.Contains(h.out.String(), token) {
		t.Error("status shows the token")
	}
	if err := h.verb(func(c *config.Config) { c.Verb = config.VerbStatus }); err != nil {
		t.Errorf("status as text = %v", err)
	}
	for _, want := range []string{"equal    ", "opt/cni/bin/calico ", "token expires " +
		expires.UTC().Format(time.RFC3339), "runtimes use 10-calico.conflist"} {
		if !strings.Contains(h.out.String(), want) {
			t.Errorf("text lacks %q:\n%s", want, h.out.String())
		}
	}
}

func TestStatusNamesEveryProblem(t *testing.T) {
	conf := "host/etc/cni/net.d/10-calico.conflist"
	for _, tt := range []struct {
		name   string
		change func(h *host)
		states string
		says   string
	}{
		{
			"binary missing", func(h *host) { _ = os.Remove(h.path("host/opt/cni/bin/calico")) },
			"missing equal equal | equal | equal", "opt/cni/bin/calico: missing",
		},
		{
			"binary differs", func(h *host) { h.put("host/opt/cni/bin/portmap", "v2") }, "equal equal differs | equal | equal",
			"portmap: differs",
		},
		{
			"binary not executable", func(h *host) { _ = os.Chmod(h.path("host/opt/cni/bin/calico"), 0o644) },
			"equal equal equal | equal | equal", "calico: mode differs",
		},
		{
			"kubeconfig missing", func(h *host) { _ = os.Remove(h.path("host/etc/cni/net.d/calico-kubeconfig")) },
			"equal equal equal | missing | equal", "calico-kubeconfig: missing",
		},
		{
			"kubeconfig empty", func(h *host) { h.write("host/etc/cni/net.d/calico-kubeconfig", "") },
			"equal equal equal | differs | equal", "has no token",
		},
		{
			"configuration missing", func(h *host) { _ = os.Remove(h.path(conf)) }, "equal equal equal | equal | missing",
			"10-calico.conflist: missing",
		},
		{
			"configuration differs", func(h *host) { h.write(conf, `{"name": "n", "plugins": [{"type": "x"}]}`) },
			"equal equal equal | equal | differs", "10-calico.conflist: differs",
		},
		{
			"shadowed", func(h *host) { h.write("host/etc/cni/net.d/05-x.conf", `{"name": "n", "type": "bridge"}`) },
			"equal equal equal | equal | equal", "05-x.conf instead of 10-calico.conflist",
		},
		{"nothing installed", func(h *host) {
			for _, dir := range []string{"host/opt/cni/bin", "host/etc/cni/net.d"} {
				_ = os.RemoveAll(h.path(dir))
				_ = os.Mkdir(h.path(dir), 0o755)
			}
		}, "missing missing missing | missing | missing", "calico-ipam: missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			h.mustInstall()
			tt.change(h)
			before := h.inodes()
			s, err := h.status()
			if !errors.Is(err, fault.ErrDiffers) || ExitCode(err) != 3 ||
				!strings.Contains(strings.Join(s.Problems, "; "), tt.says) {
				t.Errorf("status = %v, problems %q; want %s", err, s.Problems, tt.says)
			}
			var states []string
			for _, b := range s.Binaries {
				states = append(states, string(b.State))
			}
			if got := strings.Join(append(states, "|", string(s.Kubeconfig.State), "|", string(s.Network.State)),
				" "); got != tt.states {
				t.Errorf("states are %s; want %s", got, tt.states)
			}
			if diff := cmp.Diff(before, h.inodes()); diff != "" {
				t.Errorf("status wrote (-before +after):\n%s", diff)
			}
		})
	}
}

func TestStatusOfAnExpiredToken(t *testing.T) {
	h := newHost(t)
	from := time.Now().Add(-2 * time.Hour)
	if err := h.installWith(t.Context(),
		func() (string, error) { return jwt(from, from.Add(time.Hour)), nil }); err != nil {
		t.Fatal(err)
	}
	if s, err := h.status(); !errors.Is(err, fault.ErrDiffers) ||
		!strings.Contains(strings.Join(s.Problems, "; "), "token expired at") {
		t.Errorf("status = %v, problems %q", err, s.Problems)
	}
}

func TestDryRun(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(h *host)
		exit   int
		says   []string
	}{
		{"nothing", func(h *host) { h.mustInstall() }, 0, nil},
		{"everything", func(*host) {}, 3, []string{
			"binary ", "opt/cni/bin/calico would be written, now missing", "--- /dev/null\n+++ ", "+    \"token\": ",
			"+      \"type\": \"calico\",",
		}},
		{
			"a binary", func(h *host) { h.mustInstall(); h.put("image/calico", "v2") }, 3,
			[]string{"opt/cni/bin/calico would be written, now -rwxr-xr-x"},
		},
		{
			"a field", func(h *host) { h.mustInstall(); h.cfg.MTU = 1400 }, 3,
			[]string{"@@ ", "-      \"mtu\": 1500,\n+      \"mtu\": 1400,\n"},
		},
		{
			"a mode", func(h *host) { h.mustInstall(); _ = os.Chmod(h.path("host/etc/cni/net.d/calico-kubeconfig"), 0o644) },
			3,
			[]string{"calico-kubeconfig would be written: its mode"},
		},
		{"others", func(h *host) {
			h.mustInstall()
			h.cfg.Exclusive, h.cfg.OldConfName = true, "01-old.conf"
			h.write("host/etc/cni/net.d/01-old.conf", "{}")
			h.write("host/etc/cni/net.d/05-x.conf", "{}")
		}, 3, []string{"01-old.conf would be removed", "05-x.conf would be moved aside"}},
		{"node files", func(h *host) {
			h.mustInstall()
			h.cfg.NodeFiles = true
			_ = os.MkdirAll(h.path("host/var/lib/calico"), 0o755)
		}, 3, []string{"+worker-1\n", "+1500\n"}},
		{"a secret of others", func(h *host) {
			h.mustInstall()
			_ = os.WriteFile(h.path("host/etc/cni/net.d/10-calico.conflist"),
				[]byte(`{"policy": {"k8s_auth_token": "`+secret+`"}, "password": "`+secret+`"}`), 0o600)
		}, 3, []string{`"k8s_auth_token": "(secret)"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			tt.before(h)
			before := h.inodes()
			asked := false
			h.cfg.DryRun = true
			h.out.Reset()
			err := h.installWith(t.Context(), func() (string, error) { asked = true; return secret, nil })
			if ExitCode(err) != tt.exit || asked {
				t.Errorf("Run = %v, exit code %d, token asked for: %v", err, ExitCode(err), asked)
			}
			for _, want := range tt.says {
				if !strings.Contains(strings.ReplaceAll(h.out.String(), "    token: ", `    "token": `), want) {
					t.Errorf("output lacks %q:\n%s", want, h.out.String())
				}
			}
			if len(tt.says) == 0 && h.out.String() != "installing would change nothing\n" ||
				strings.Contains(h.out.String(), secret) {
				t.Errorf("output:\n%s", h.out.String())
			}
			if diff := cmp.Diff(before, h.inodes()); diff != "" {
				t.Errorf("a dry run wrote (-before +after):\n%s", diff)
			}
		})
	}
}

func TestDryRunNamesConfigurationsOfEarlierRuns(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	h.cfg.ConfName = "05-calico.conflist"
	err := h.verb(func(c *config.Config) { c.DryRun = true })
	if !errors.Is(err, fault.ErrDiffers) || !strings.Contains(h.out.String(), "10-calico.conflist") {
		t.Errorf("dry run: %v\n%s", err, h.out.String())
	}
}

func TestStatusReportsWrongKubeconfigMode(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	_ = os.Chmod(h.path("host/etc/cni/net.d/calico-kubeconfig"), 0o644)
	if s, err := h.status(); !errors.Is(err, fault.ErrDiffers) {
		t.Errorf("status %+v, %v", s, err)
	}
}

func TestStatusOfAKubeconfigForAnotherServer(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	h.cfg.ServiceHost = "10.96.0.2"
	if s, err := h.status(); !errors.Is(err, fault.ErrDiffers) || s.Kubeconfig.State != hostfile.Differs {
		t.Errorf("status %+v, %v", s, err)
	}
}
